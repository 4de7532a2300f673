"""Pictures from plain arrays: the only door to matplotlib, which is imported when something is drawn.

Every function takes ``ax=None``: given axes are drawn on, otherwise pyplot opens new ones, so that a
notebook shows them. Reports draw on figures of their own (:func:`draw_svg`) and leave no trace in pyplot.
"""

from ebm_causal.figures.balance import love_picture
from ebm_causal.figures.canvas import draw_svg, to_svg
from ebm_causal.figures.capacities import capacity_picture
from ebm_causal.figures.comparisons import forest_picture, seen_and_done_picture, shares_picture
from ebm_causal.figures.contours import contour_picture
from ebm_causal.figures.curves import curves_picture
from ebm_causal.figures.densities import densities_picture
from ebm_causal.figures.diagrams import graph_picture
from ebm_causal.figures.extremes import extremes_picture
from ebm_causal.figures.landscapes import landscape_picture
from ebm_causal.figures.layers import layered_picture
from ebm_causal.figures.responses import response_picture
from ebm_causal.figures.waterfalls import waterfall_picture

__all__ = [
    "capacity_picture",
    "contour_picture",
    "curves_picture",
    "densities_picture",
    "draw_svg",
    "extremes_picture",
    "forest_picture",
    "graph_picture",
    "landscape_picture",
    "layered_picture",
    "love_picture",
    "response_picture",
    "seen_and_done_picture",
    "shares_picture",
    "to_svg",
    "waterfall_picture",
]
