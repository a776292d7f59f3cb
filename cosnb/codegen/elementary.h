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

/* condition ? a : b by masks: the compiler cannot move a's or b's computation behind a branch. */
static inline REAL cosnb_select(int condition, REAL a, REAL b) {
  BITS mask = (BITS)0 - (BITS)condition;
  return cosnb_from_bits((cosnb_bits(a) & mask) | (cosnb_bits(b) & ~mask));
}

/* |x| with the sign of y. */
static inline REAL cosnb_with_sign(REAL x, REAL y) {
  return cosnb_from_bits((cosnb_bits(x) & ~SIGN) | (cosnb_bits(y) & SIGN));
}

/* e^(y - low) = 2^n (1 + p) for a low far below y: returns p. Adding 1.5 * 2^(digits - 1) + the exponent's bias rounds
   y / ln 2 to an integer n, and leaves n + bias in the last bits of *shifted. The product of n and the upper part of
   ln 2 is exact, and so is y minus it. */
static inline REAL cosnb_exp_reduced(REAL y, REAL low, REAL *shifted) {
  REAL t = fma(y, LOG2E, ROUND);
  REAL n = t - ROUND;
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
  REAL p = cosnb_exp_reduced(y, 0.0, &shifted);
  REAL s = cosnb_exp_scale(shifted);
  return fma(s, p, s);
}

/* e^y - 1 for the same y; beside cosnb_exp_nonpositive(y) it costs one subtraction and one fma. */
static inline REAL cosnb_expm1_nonpositive(REAL y) {
  REAL shifted;
  REAL p = cosnb_exp_reduced(y, 0.0, &shifted);
  REAL s = cosnb_exp_scale(shifted);
  return fma(s, p, s - 1.0);
}

/* e^(y - low) for y that is at most little above the logarithm of the largest number, low far below y. 2^n is a product
   of two, which may overflow, or round to a subnormal. */
static inline REAL cosnb_exp_difference(REAL y, REAL low) {
  REAL shifted;
  y = cosnb_select(y < EXP_LOWEST, EXP_LOWEST, y);
  REAL p = cosnb_exp_reduced(y, low, &shifted);
  REAL half = fma(shifted - ROUND, 0.5, ROUND);
  REAL s = cosnb_exp_scale(half);
  REAL rest = cosnb_from_bits((cosnb_bits(shifted) - cosnb_bits(half) + BIAS) << MANTISSA_BITS);
  return fma(s, p, s) * rest;
}

/* e^y for every y. */
static inline REAL cosnb_exp(REAL y) {
  return cosnb_exp_difference(cosnb_select(y > EXP_HIGHEST, EXP_HIGHEST, y), 0.0);
}

/* e^y - 1 for every y. Half of it is computed, since 2^n itself may overflow where the result does not. */
static inline REAL cosnb_expm1(REAL y) {
  REAL shifted;
  REAL bounded = cosnb_select(y > EXP_HIGHEST, EXP_HIGHEST, y);
  bounded = cosnb_select(bounded < EXPM1_LOWEST, EXPM1_LOWEST, bounded);
  REAL p = cosnb_exp_reduced(bounded, 0.0, &shifted);
  REAL s = cosnb_exp_scale(shifted - 1.0);
  REAL half = fma(s, p, s - 0.5);
  return cosnb_select(fabs(y) < TINY, y, half + half);
}
