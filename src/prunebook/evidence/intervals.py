"""The one interval of this project: Student's, for the mean over seeds."""

import numpy as np
import pandas as pd
import scipy

Values = float | np.ndarray | pd.Series


def half_width(spread: Values, count: int | Values, level: float = 0.95) -> Values:
    """Half the width of Student's t interval for the mean of independent values.

    Args:
        spread: sample standard deviation of the values, divisor ``count - 1``; any shape, or a pandas Series.
        count: how many values there are; of the same shape, or either is one number.
        level: share of such intervals that hold the true mean, if the values are normal.

    Returns:
        In the shape of the two and the unit of ``spread``; not a number for fewer than two values.
    """
    # The quantile without scipy.stats, which takes a second to load.
    freedom = np.asarray(count, float) - 1
    quantile = scipy.special.stdtrit(np.where(freedom > 0, freedom, np.nan), (1 + level) / 2)
    return quantile * spread / np.sqrt(count)
