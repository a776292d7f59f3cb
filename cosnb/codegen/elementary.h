/* Elementary functions without branches, tables or calls, for loops that a compiler turns into vector instructions.
   A template that elementary.py prints for float or double: REAL and BITS are the format and the unsigned integer of
   its width, names in capitals are constants of the format, POLY(name, x) is the polynomial of that name in
   coefficients.json, by Horner's rule. Every line that starts with "static inline" begins a function, with the comment
   before it. The order of operations matters: compile with -ffp-contract=off and without -ffast-math. */

/* The bits of y, and the number with the bits i. */
static inline BITS cosnb_bits(REAL y) {
  BITS i;
  memcpy(&i, &y, sizeof i);
  return i;
}

static inline REAL cosnb_from_bits(BITS i) {
  REAL y;
  memcpy(&y, &i, sizeof y);
  return y;
}

/* condition ? a : b by masks. With ?: gcc moves the computation of a or b, or of what follows, behind a branch, and
   then cannot vectorise it, since it might set an exception flag. */
static inline REAL cosnb_select(int condition, REAL a, REAL b) {
  BITS mask = (BITS)0 - (BITS)condition;
  return cosnb_from_bits((cosnb_bits(a) & mask) | (cosnb_bits(b) & ~mask));
}

/* y, or the bound beyond it; NaN stays NaN. */
static inline REAL cosnb_at_most(REAL bound, REAL y) {
  return cosnb_select(y > bound, bound, y);
}

static inline REAL cosnb_at_least(REAL bound, REAL y) {
  return cosnb_select(y < bound, bound, y);
}

/* |x| with the sign of y. */
static inline REAL cosnb_with_sign(REAL x, REAL y) {
  return cosnb_from_bits((cosnb_bits(x) & ~SIGN) | (cosnb_bits(y) & SIGN));
}

/* e^(y - low) = 2^n (1 + p) for a low far below y: returns p. Adding 1.5 * 2^(digits - 1) + the exponent's bias rounds
   y / ln 2 to an integer n, and leaves n + bias in the last bits of *shifted. The product of n and the upper part of
   ln 2 is exact, and so is y minus it. */
static inline REAL cosnb_exp_reduced(REAL y, REAL low, REAL round, REAL *shifted) {
  REAL t = fma(y, LOG2E, round);
  REAL n = t - round;
  REAL r = fma(n, -LN2_HIGH, y);
  r = fma(n, -LN2_LOW, r) - low;
  REAL q = POLY(exp, r);
  *shifted = t;
  return fma(r * r, q, r);
}

/* 2^n from the shifted n of cosnb_exp_reduced; 2^n must be a normal number. */
static inline REAL cosnb_exp_scale(REAL shifted) {
  return cosnb_from_bits(cosnb_bits(shifted) << MANTISSA_BITS);
}

/* e^y for y in [-87, 0], double [-700, 0]. */
static inline REAL cosnb_exp_nonpositive(REAL y) {
  REAL shifted;
  REAL p = cosnb_exp_reduced(y, 0.0, ROUND, &shifted);
  REAL s = cosnb_exp_scale(shifted);
  return fma(s, p, s);
}

/* 2^100 e^y for y in [-110, 0], double [-760, 0]: a normal number where e^y is none. */
static inline REAL cosnb_exp_scaled(REAL y) {
  REAL shifted;
  REAL p = cosnb_exp_reduced(y, 0.0, ROUND + 100.0, &shifted);
  REAL s = cosnb_exp_scale(shifted);
  return fma(s, p, s);
}

/* 1 - e^y for y of either, +0 for 0; beside cosnb_exp_nonpositive(y) it costs a maximum, a subtraction and an fma. From 2^-60 on
   2^n decides nothing. */
static inline REAL cosnb_one_minus_exp(REAL y) {
  REAL shifted;
  REAL p = cosnb_exp_reduced(y, 0.0, ROUND, &shifted);
  REAL s = cosnb_exp_scale(cosnb_at_least(ROUND - 60.0, shifted));
  return fma(-s, p, 1.0 - s);
}

/* e^(y - low) for y that is at most little above the logarithm of the largest number, low far below y. 2^n is a product
   of two, which may overflow, or round to a subnormal. */
static inline REAL cosnb_exp_difference(REAL y, REAL low) {
  REAL shifted;
  y = cosnb_at_least(EXP_LOWEST, y);
  REAL p = cosnb_exp_reduced(y, low, ROUND, &shifted);
  REAL half = fma(shifted - ROUND, 0.5, ROUND);
  REAL s = cosnb_exp_scale(half);
  REAL rest = cosnb_from_bits((cosnb_bits(shifted) - cosnb_bits(half) + BIAS) << MANTISSA_BITS);
  return fma(s, p, s) * rest;
}

/* e^y for every y. */
static inline REAL cosnb_exp(REAL y) {
  return cosnb_exp_difference(cosnb_at_most(EXP_HIGHEST, y), 0.0);
}

/* e^(u h) for h = high + low, high of the format: the product's rounding error joins its low part. */
static inline REAL cosnb_exp_product(REAL u, REAL high, REAL low) {
  REAL y = u * high;
  REAL rest = fma(u, low, fma(u, high, -y));
  int within = (y > EXP_LOWEST) & (y < EXP_HIGHEST);
  return cosnb_exp_difference(cosnb_at_most(EXP_HIGHEST, y), cosnb_select(within, -rest, 0.0));
}

/* e^y - 1 for every y. Half of it is computed, since 2^n itself may overflow where the result does not. */
static inline REAL cosnb_expm1(REAL y) {
  REAL shifted;
  REAL bounded = cosnb_at_most(EXP_HIGHEST, y);
  bounded = cosnb_at_least(EXPM1_LOWEST, bounded);
  REAL p = cosnb_exp_reduced(bounded, 0.0, ROUND, &shifted);
  REAL s = cosnb_exp_scale(shifted - 1.0);
  REAL half = fma(s, p, s - 0.5);
  return cosnb_select(fabs(y) < TINY, y, half + half);
}

/* log(1 + t) for t in [0, 1]. */
static inline REAL cosnb_log1p_unit(REAL t) {
  REAL q = POLY(log1p_unit, t);
  return fma(t * t, q, t);
}

/* n with 2/3 <= y / 2^n < 4/3, plus the exponent's bias less 1, for a normal y > 0. */
static inline BITS cosnb_log_exponent(REAL y) {
  return (cosnb_bits(y) - MANTISSA_OF_TWO_THIRDS) >> MANTISSA_BITS;
}

/* log(2^n (1 + f)) for |f| <= 1/3, n as cosnb_log_exponent gives it, and `extra` taken from n. */
static inline REAL cosnb_log_sum(BITS exponent, REAL extra, REAL f) {
  REAL n = cosnb_from_bits(exponent | BITS_OF_INTEGERS) - INTEGERS - extra;
  REAL q = POLY(log, f);
  q = fma(q, f, -0.5);
  REAL r = fma(f * f, q, f);
  return fma(n, LN2_HIGH, fma(n, LN2_LOW, r));
}

/* log(y) for every y: y below 0 gives NaN. */
static inline REAL cosnb_log(REAL y) {
  int subnormal = y < SMALLEST_NORMAL;
  REAL normal = cosnb_select(subnormal, y * TO_NORMAL, y);
  BITS exponent = cosnb_log_exponent(normal);
  REAL m = cosnb_from_bits(cosnb_bits(normal) - ((exponent + 1u - BIAS) << MANTISSA_BITS));
  REAL r = cosnb_log_sum(exponent, cosnb_select(subnormal, LOG2_TO_NORMAL, 0.0), m - 1.0);
  REAL special = cosnb_select(y == 0.0, -INFINITY, cosnb_select(y < 0.0, NAN, y));
  return cosnb_select((y > 0.0) & (y < INFINITY), r, special);
}

/* log(1 + y) for every y. With 2^-n (1 + y) = 1 + f, f = 2^-n y + (2^-n - 1) is rounded once; 2^(2 - n) stands for
   2^-n, which may be subnormal. */
static inline REAL cosnb_log1p(REAL y) {
  BITS exponent = cosnb_log_exponent(1.0 + y);
  REAL s = cosnb_from_bits((BIAS + BIAS + 1u - exponent) << MANTISSA_BITS);
  REAL r = cosnb_log_sum(exponent, 0.0, fma(s, 0.25 * y, fma(s, 0.25, -1.0)));
  REAL special = cosnb_select(y == -1.0, -INFINITY, cosnb_select(y < -1.0, NAN, y));
  return cosnb_select((y > -1.0) & (y < INFINITY) & (fabs(y) > TINY), r, special);
}

/* y^a for y >= 0 and a = high + low, high of the format; NaN for y < 0. log y = n ln 2 + 2 atanh s, s = (m - 1)/(m + 1),
   with the low parts of s, of the sum and of a times it. */
static inline REAL cosnb_pow(REAL y, REAL high, REAL low) {
  int subnormal = y < SMALLEST_NORMAL;
  REAL normal = cosnb_select(subnormal, y * TO_NORMAL, y);
  BITS exponent = cosnb_log_exponent(normal);
  REAL m = cosnb_from_bits(cosnb_bits(normal) - ((exponent + 1u - BIAS) << MANTISSA_BITS));
  REAL n = cosnb_from_bits(exponent | BITS_OF_INTEGERS) - INTEGERS - cosnb_select(subnormal, LOG2_TO_NORMAL, 0.0);
  REAL f = m - 1.0;
  REAL d = m + 1.0;
  REAL r = 1.0 / d;
  REAL s = f * r;
  REAL s_low = (fma(-s, d, f) - s * (m - (d - 1.0))) * r;
  REAL z = s * s;
  REAL q = POLY(atanh, z);
  REAL whole = n * LN2_HIGH;
  REAL sum = fma(2.0, s, whole);
  REAL rest = fma(n, LN2_LOW, fma(2.0, s_low, s * z * q)) + fma(2.0, s, whole - sum);
  REAL log_high = sum + rest;
  REAL log_low = rest - (log_high - sum);
  REAL p = high * log_high;
  REAL p_low = fma(low, log_high, fma(high, log_low, fma(high, log_high, -p)));
  REAL v = cosnb_exp_difference(cosnb_at_most(EXP_HIGHEST, p), -p_low);
  REAL at_zero = cosnb_select(high > 0.0, 0.0, INFINITY);
  REAL at_infinity = cosnb_select(high > 0.0, INFINITY, 0.0);
  REAL special = cosnb_select(y == 0.0, at_zero, cosnb_select(y > 0.0, at_infinity, NAN));
  return cosnb_select((y > 0.0) & (y < INFINITY), v, special);
}

/* The cube root of y >= 0; NaN for y < 0. y = 2^(3n) m, 1/4 <= m < 2; g, near 1 / cbrt(m) from a polynomial, has three
   times the digits after the step g + g h (1/3 + 2/9 h), h = 1 - m g^3; c = m g^2 takes a last step with c^2's low part.
   */
static inline REAL cosnb_cbrt(REAL y) {
  int subnormal = y < SMALLEST_NORMAL;
  REAL normal = cosnb_select(subnormal, y * TO_NORMAL, y);
  REAL exponent = cosnb_from_bits((cosnb_bits(normal) >> MANTISSA_BITS) | BITS_OF_INTEGERS) - INTEGERS;
  REAL shifted = fma(exponent, THIRD, ROUND);
  BITS n = cosnb_bits(shifted);
  REAL m = cosnb_from_bits(cosnb_bits(normal) - ((n + n + n - (BIAS + BIAS + BIAS)) << MANTISSA_BITS));
  REAL g = POLY(reciprocal_cbrt, m);
  REAL h = fma(-m * g, g * g, 1.0);
  g = fma(g * h, fma(h, TWO_NINTHS, THIRD), g);
  REAL c = m * g * g;
  REAL square = c * c;
  REAL rest = fma(square, c, -m) + fma(c, c, -square) * c;
  c = fma(rest * (g * g), -THIRD, c);
  REAL root = c * cosnb_exp_scale(shifted) * cosnb_select(subnormal, CBRT_FROM_NORMAL, 1.0);
  REAL special = cosnb_select(y < 0.0, NAN, fabs(y));
  return cosnb_select((y > 0.0) & (y < INFINITY), root, special);
}

/* tanh x = (1 - t) / (1 + t) with t = e^(-2|x|): the numerator through e^y - 1 near 0; 1 - 2t / (1 + t) elsewhere,
   where the rounding of 1 + t counts for less. */
static inline REAL cosnb_tanh(REAL x) {
  REAL y = -2.0 * fabs(x);
  y = cosnb_at_least(-40.0, y);
  int near = y > -1.0;
  REAL t = cosnb_exp_nonpositive(y);
  REAL q = cosnb_select(near, cosnb_one_minus_exp(y), t + t) / (1.0 + t);
  return cosnb_with_sign(cosnb_select(near, q, 1.0 - q), x);
}

/* (e^a - 1) / 4 for a in [0, SINH_HIGHEST]; a quarter, since e^a may overflow where sinh a does not. */
static inline REAL cosnb_quarter_expm1(REAL a) {
  REAL shifted;
  REAL p = cosnb_exp_reduced(cosnb_at_most(SINH_HIGHEST, a), 0.0, ROUND, &shifted);
  REAL s = cosnb_exp_scale(shifted - 2.0);
  return fma(s, p, s - 0.25);
}

/* sinh x = (e + e / (e + 1)) / 2 with e = e^|x| - 1. */
static inline REAL cosnb_sinh(REAL x) {
  REAL e = cosnb_quarter_expm1(fabs(x));
  REAL half = e + e / fma(4.0, e, 1.0);
  return cosnb_select(fabs(x) < TINY, x, cosnb_with_sign(half + half, x));
}

/* cosh x = (e^|x| + e^-|x|) / 2. */
static inline REAL cosnb_cosh(REAL x) {
  REAL e = cosnb_quarter_expm1(fabs(x)) + 0.25;
  REAL half = e + 0.0625 / e;
  return half + half;
}

/* 1 / (1 + e^-y), for y < 0 as t / (1 + t) with t = e^y. */
static inline REAL cosnb_sigmoid(REAL y) {
  REAL t = cosnb_exp_difference(-fabs(y), 0.0);
  return cosnb_select(y < 0.0, t, 1.0) / (1.0 + t);
}

/* log(1 + e^y) = max(y, 0) + log(1 + e^-|y|). */
static inline REAL cosnb_softplus(REAL y) {
  REAL t = cosnb_exp_difference(-fabs(y), 0.0);
  return cosnb_select(y > 0.0, y, 0.0) + cosnb_log1p_unit(t);
}

/* The square root of w in [1, 2^121], by Newton's method for 1 / sqrt(w) from a guess within 4 %. The C function sqrt
   would have to set errno, and with that gcc does not vectorise. */
static inline REAL cosnb_root(REAL w) {
  REAL g = cosnb_from_bits(ROOT_GUESS - (cosnb_bits(w) >> 1));
  REAL h = 0.5 * w;
  g = g * fma(-h * g, g, 1.5);
  g = g * fma(-h * g, g, 1.5);
  g = g * fma(-h * g, g, 1.5);
  g = g * fma(-h * g, g, 1.5);
  REAL root = w * g;
  return fma(fma(-root, root, w), 0.5 * g, root);
}

/* asinh x = log(1 + a + a^2 / (1 + sqrt(1 + a^2))), a = |x|; log 2a where a^2 might overflow. */
static inline REAL cosnb_asinh(REAL x) {
  REAL a = fabs(x);
  int large = a > 0x1p+60;
  REAL b = cosnb_select(large, 1.0, a);
  REAL z = fma(b, b / (1.0 + cosnb_root(fma(b, b, 1.0))), b);
  REAL r = cosnb_log1p(cosnb_select(large, a, z)) + cosnb_select(large, LN2, 0.0);
  return cosnb_with_sign(r, x);
}

/* erfc(a) for a >= 0: e^(-a^2) times a polynomial in (a - c) / (a + c) over a + c, both quotients with their remainders.
   */
static inline REAL cosnb_erfc_nonnegative(REAL a) {
  REAL b = cosnb_at_most(ERFC_HIGHEST, a);
  REAL square = b * b;
  REAL e = cosnb_exp_difference(-square, fma(b, b, -square));
  REAL d = b + ERFC_CENTRE;
  REAL u = 1.0 / d;
  REAL t = (b - ERFC_CENTRE) * u;
  t = fma(fma(-t, d, b - ERFC_CENTRE), u, t);
  REAL q = POLY(ERFC_FIT, t);
  REAL v = q * u;
  v = fma(fma(-v, d, q) - v * (b - (d - ERFC_CENTRE)), u, v);
  return v * e;
}

/* erfc(x) for every x, with its digits in the right tail. */
static inline REAL cosnb_erfc(REAL x) {
  REAL r = cosnb_erfc_nonnegative(fabs(x));
  return cosnb_select(x < 0.0, 2.0 - r, r);
}

/* atan x for every x; atan a = pi / 2 - atan(1 / a) for a > 1. */
static inline REAL cosnb_atan(REAL x) {
  REAL a = fabs(x);
  int large = a > 1.0;
  REAL t = cosnb_select(large, 1.0, a) / cosnb_select(large, a, 1.0);
  REAL z = t * t;
  REAL q = POLY(atan, z);
  REAL r = fma(t * z, q, t);
  return cosnb_with_sign(cosnb_select(large, HALF_PI - (r - HALF_PI_REST), r), x);
}

/* v with its sign turned where bit 1 of the number of quarter turns is set. */
static inline REAL cosnb_turn(BITS quarters, REAL v) {
  return cosnb_from_bits(cosnb_bits(v) ^ ((quarters & 2u) << BIT_1_TO_SIGN));
}
