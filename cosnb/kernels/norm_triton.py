"""Triton kernels of a batch normalisation with the activation after it, and of their backward: two launches each way.

x is (n, c, l) with l fastest: l = 1 for (N, C) and channels-last, n = N and l = H·W for contiguous images. Programs
(c block, p) take tiles of (ROWS, CHANNELS, COLUMNS), p, p + P, p + 2P, …; the first launch leaves what each has summed
in `partial`, and every program of the second adds these up for its own channels: at most 128 numbers a channel, so
cheaper than a launch more, and the same sum each time. The second launch takes the tiles from the last one on, which
the cache still holds.

    forward   moments: read x;        normalise: read x, write y = f(z), z = x̂·weight + bias, x̂ = (x − mean)·invstd
    backward  sums: read dy, x;       gradients: read dy, x, write dx

with dz = dy·f′(z) computed twice, which costs fewer bytes than keeping it. Statistics are computed as the arithmetic of
`partial` is: float32, for float64 inputs float64.
"""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def _place(tile, n_count, channels, l_count, ROWS: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return offsets and mask of a tile's elements, and which of its positions exist."""
    across = tl.cdiv(l_count, COLUMNS)
    n = (tile // across) * ROWS + tl.arange(0, ROWS)[:, None, None]
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)[None, :, None]
    column = (tile % across) * COLUMNS + tl.arange(0, COLUMNS)[None, None, :]
    inside = (n < n_count) & (column < l_count)
    return (n.to(tl.int64) * channels + c) * l_count + column, inside & (c < channels), inside


@triton.jit
def _over_positions(values):
    """Return the sums over rows and columns: one for each channel."""
    return tl.sum(tl.sum(values, 2), 0)


@triton.jit
def _channel(pointer, channels, other: tl.constexpr, CHANNELS: tl.constexpr, ACC: tl.constexpr):
    """Return a vector's entries for this block's channels as (1, CHANNELS, 1)."""
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    return tl.load(pointer + c, mask=c < channels, other=other).to(ACC)[None, :, None]


@triton.jit
def _channel_or(pointer, channels, other: tl.constexpr, GIVEN: tl.constexpr, CHANNELS: tl.constexpr, ACC: tl.constexpr):
    """Return a vector's entries as `_channel` does, or `other` for all where there is no vector."""
    values = tl.full((1, CHANNELS, 1), other, ACC)
    if GIVEN:
        values = _channel(pointer, channels, other, CHANNELS, ACC)
    return values


@triton.jit
def _store_channel(pointer, values, channels, CHANNELS: tl.constexpr):
    """Store (CHANNELS,) values; the first program of a block of channels does so for all."""
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    end = tl.where(tl.program_id(1) == 0, channels, 0)
    tl.store(pointer + c, values.to(pointer.dtype.element_ty), mask=c < end)


@triton.jit
def _partials(partial_ptr, plane, parts, channels, PARTS: tl.constexpr, CHANNELS: tl.constexpr):
    """Return a plane of what the first launch left, (PARTS, CHANNELS), 0 beyond its end."""
    p = tl.arange(0, PARTS)[:, None]
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    return tl.load(partial_ptr + (plane * parts + p) * channels + c, mask=(p < parts) & (c < channels), other=0.0)


@triton.jit
def _store_partial(partial_ptr, plane, values, channels, CHANNELS: tl.constexpr):
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    row = plane * tl.num_programs(1) + tl.program_id(1)
    tl.store(partial_ptr + row * channels + c, values, mask=c < channels)


@triton.jit
def moments(
    x_ptr, partial_ptr, n_count, c_units, l_units, C_UNIT: tl.constexpr, L_UNIT: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Leave mean, sum of squared deviations and count of each program's elements in partial (3, P, C).

    Welford's recurrence at each position of the tile, then Chan's formula over the positions: no digits are lost where
    the mean is far above the deviation.
    """
    ACC: tl.constexpr = partial_ptr.dtype.element_ty
    channels, l_count = c_units * C_UNIT, l_units * L_UNIT
    tiles = tl.cdiv(n_count, ROWS) * tl.cdiv(l_count, COLUMNS)
    count = tl.zeros((ROWS, 1, COLUMNS), ACC)
    mean = tl.zeros((ROWS, CHANNELS, COLUMNS), ACC)
    square = tl.zeros((ROWS, CHANNELS, COLUMNS), ACC)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        offsets, mask, inside = _place(tile, n_count, channels, l_count, ROWS, CHANNELS, COLUMNS)
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(ACC)
        count += inside.to(ACC)
        delta = tl.where(inside, x - mean, 0.0)
        mean += delta * (1.0 / tl.maximum(count, 1.0))
        square += delta * (x - mean)
    total = tl.sum(tl.sum(tl.sum(count, 2), 1), 0)
    overall = _over_positions(count * mean) / total
    apart = mean - overall[None, :, None]
    _store_partial(partial_ptr, 0, overall, channels, CHANNELS)
    _store_partial(partial_ptr, 1, _over_positions(square + count * apart * apart), channels, CHANNELS)
    _store_partial(partial_ptr, 2, tl.zeros((CHANNELS,), ACC) + total, channels, CHANNELS)


@triton.jit
def normalise(
    x_ptr, y_ptr, weight_ptr, bias_ptr, running_mean_ptr, running_var_ptr, mean_ptr, invstd_ptr, partial_ptr,
    n_count, c_units, l_units, parts, eps: tl.float64, momentum: tl.float64,
    VALUE: tl.constexpr, TRAINING: tl.constexpr, TRACKING: tl.constexpr, WEIGHT: tl.constexpr, BIAS: tl.constexpr,
    PARTS: tl.constexpr, C_UNIT: tl.constexpr, L_UNIT: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write y, mean and invstd, and bring the running statistics up to date.

    TRAINING: statistics of the batch, from partial (3, P, C); else the running ones. TRACKING: whether there are
    running ones to bring up to date.
    """
    ACC: tl.constexpr = mean_ptr.dtype.element_ty
    channels, l_count = c_units * C_UNIT, l_units * L_UNIT
    if TRAINING:
        means = _partials(partial_ptr, 0, parts, channels, PARTS, CHANNELS)
        squares = _partials(partial_ptr, 1, parts, channels, PARTS, CHANNELS)
        counts = _partials(partial_ptr, 2, parts, channels, PARTS, CHANNELS)
        total = tl.sum(counts, 0)
        average = tl.sum(counts * means, 0) / tl.maximum(total, 1.0)
        apart = means - average[None, :]
        square = tl.sum(squares + counts * apart * apart, 0)
        variance = square / tl.maximum(total, 1.0)
        if TRACKING:
            taken = tl.full((), momentum, ACC)
            kept = tl.full((), 1.0, ACC) - taken
            c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
            old = tl.load(running_mean_ptr + c, mask=c < channels, other=0.0).to(ACC)
            _store_channel(running_mean_ptr, kept * old + taken * average, channels, CHANNELS)
            old = tl.load(running_var_ptr + c, mask=c < channels, other=0.0).to(ACC)
            unbiased = square / tl.maximum(total - 1.0, 1.0)
            _store_channel(running_var_ptr, kept * old + taken * unbiased, channels, CHANNELS)
        mean = average[None, :, None]
        variance = variance[None, :, None]
    else:
        mean = _channel(running_mean_ptr, channels, 0.0, CHANNELS, ACC)
        variance = _channel(running_var_ptr, channels, 1.0, CHANNELS, ACC)
    invstd = 1.0 / tl.sqrt(variance + tl.full((), eps, ACC))
    _store_channel(mean_ptr, tl.reshape(mean, (CHANNELS,)), channels, CHANNELS)
    _store_channel(invstd_ptr, tl.reshape(invstd, (CHANNELS,)), channels, CHANNELS)
    weight = _channel_or(weight_ptr, channels, 1.0, WEIGHT, CHANNELS, ACC)
    bias = _channel_or(bias_ptr, channels, 0.0, BIAS, CHANNELS, ACC)
    tiles = tl.cdiv(n_count, ROWS) * tl.cdiv(l_count, COLUMNS)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        offsets, mask, _ = _place(tiles - 1 - tile, n_count, channels, l_count, ROWS, CHANNELS, COLUMNS)
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(ACC)
        z = (x - mean) * invstd * weight + bias
        tl.store(y_ptr + offsets, VALUE(z).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def sums(
    dy_ptr, x_ptr, weight_ptr, bias_ptr, mean_ptr, invstd_ptr, partial_ptr, n_count, c_units, l_units,
    PRODUCT: tl.constexpr, WEIGHT: tl.constexpr, BIAS: tl.constexpr, C_UNIT: tl.constexpr, L_UNIT: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Leave the sums of dz and of dz·x̂ over each program's elements in partial (2, P, C)."""
    ACC: tl.constexpr = partial_ptr.dtype.element_ty
    channels, l_count = c_units * C_UNIT, l_units * L_UNIT
    mean = _channel(mean_ptr, channels, 0.0, CHANNELS, ACC)
    invstd = _channel(invstd_ptr, channels, 0.0, CHANNELS, ACC)
    weight = _channel_or(weight_ptr, channels, 1.0, WEIGHT, CHANNELS, ACC)
    bias = _channel_or(bias_ptr, channels, 0.0, BIAS, CHANNELS, ACC)
    of_dz = tl.zeros((ROWS, CHANNELS, COLUMNS), ACC)
    of_product = tl.zeros((ROWS, CHANNELS, COLUMNS), ACC)
    tiles = tl.cdiv(n_count, ROWS) * tl.cdiv(l_count, COLUMNS)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        offsets, mask, _ = _place(tile, n_count, channels, l_count, ROWS, CHANNELS, COLUMNS)
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(ACC)
        dy = tl.load(dy_ptr + offsets, mask=mask, other=0.0).to(ACC)
        normal = (x - mean) * invstd
        dz = tl.where(mask, PRODUCT(dy, normal * weight + bias), 0.0)
        of_dz += dz
        of_product += dz * normal
    _store_partial(partial_ptr, 0, _over_positions(of_dz), channels, CHANNELS)
    _store_partial(partial_ptr, 1, _over_positions(of_product), channels, CHANNELS)


@triton.jit
def gradients(
    dy_ptr, x_ptr, weight_ptr, bias_ptr, mean_ptr, invstd_ptr, partial_ptr, dx_ptr, dweight_ptr, dbias_ptr,
    n_count, c_units, l_units, parts, share: tl.float64,
    PRODUCT: tl.constexpr, TRAINING: tl.constexpr, WEIGHT: tl.constexpr, BIAS: tl.constexpr,
    PARTS: tl.constexpr, C_UNIT: tl.constexpr, L_UNIT: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write dx, dweight and dbias from the sums in partial (2, P, C); share: 1 / n, the elements of a channel.

    TRAINING: dx = weight·invstd·(dz − Σdz / n − x̂·Σ(dz·x̂) / n); else dx = weight·invstd·dz.
    """
    ACC: tl.constexpr = partial_ptr.dtype.element_ty
    channels, l_count = c_units * C_UNIT, l_units * L_UNIT
    of_dz = tl.sum(_partials(partial_ptr, 0, parts, channels, PARTS, CHANNELS), 0)
    of_product = tl.sum(_partials(partial_ptr, 1, parts, channels, PARTS, CHANNELS), 0)
    mean = _channel(mean_ptr, channels, 0.0, CHANNELS, ACC)
    invstd = _channel(invstd_ptr, channels, 0.0, CHANNELS, ACC)
    weight = _channel_or(weight_ptr, channels, 1.0, WEIGHT, CHANNELS, ACC)
    bias = _channel_or(bias_ptr, channels, 0.0, BIAS, CHANNELS, ACC)
    if WEIGHT:
        _store_channel(dweight_ptr, of_product, channels, CHANNELS)
    if BIAS:
        _store_channel(dbias_ptr, of_dz, channels, CHANNELS)
    each = tl.full((), share, ACC)
    mean_dz = (of_dz * each)[None, :, None]
    mean_product = (of_product * each)[None, :, None]
    scale = weight * invstd
    tiles = tl.cdiv(n_count, ROWS) * tl.cdiv(l_count, COLUMNS)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        offsets, mask, _ = _place(tiles - 1 - tile, n_count, channels, l_count, ROWS, CHANNELS, COLUMNS)
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(ACC)
        dy = tl.load(dy_ptr + offsets, mask=mask, other=0.0).to(ACC)
        normal = (x - mean) * invstd
        dz = PRODUCT(dy, normal * weight + bias)
        if TRAINING:
            dz = dz - mean_dz - normal * mean_product
        tl.store(dx_ptr + offsets, (dz * scale).to(dx_ptr.dtype.element_ty), mask=mask)
