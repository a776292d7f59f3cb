/* Selections by masks and the square root, in the format of elementary.h: with ?: gcc computes what follows once for
   each side, or turns vector masks into scalars and back (Mish: 1.8 times the time). */

/* Sine, cosine and tangent for every x, with a branch: the C library's in double beyond the limit. */
static inline REAL cosnb_sin_everywhere(REAL x) {
  return fabs(x) <= REACH ? cosnb_sin(x) : (REAL)sin((double)x);
}

static inline REAL cosnb_cos_everywhere(REAL x) {
  return fabs(x) <= REACH ? cosnb_cos(x) : (REAL)cos((double)x);
}

static inline REAL cosnb_tan_everywhere(REAL x) {
  return fabs(x) <= REACH ? cosnb_tan(x) : (REAL)tan((double)x);
}

/* All bits set where the condition holds. */
static inline BITS cosnb_mask(int condition) {
  return (BITS)0 - (BITS)condition;
}

/* All bits set where the sign is. */
static inline BITS cosnb_negative(REAL x) {
  return (BITS)0 - (cosnb_bits(x) >> SIGN_PLACE);
}

/* −a where x has a sign, else a. */
static inline REAL cosnb_signed(REAL a, REAL x) {
  return cosnb_from_bits(cosnb_bits(a) ^ (cosnb_bits(x) >> SIGN_PLACE << SIGN_PLACE));
}

/* a where the mask's bits are set, else b. */
static inline REAL cosnb_choose(BITS mask, REAL a, REAL b) {
  return cosnb_from_bits((cosnb_bits(a) & mask) | (cosnb_bits(b) & ~mask));
}

/* The smaller of both; a NaN in a stays. */
static inline REAL cosnb_min(REAL a, REAL b) {
  return cosnb_select(a > b, b, a);
}

/* The larger of both; a NaN in a stays. */
static inline REAL cosnb_max(REAL a, REAL b) {
  return cosnb_select(a < b, b, a);
}

/* 1, −1, or a itself: 0 and NaN. */
static inline REAL cosnb_sign(REAL a) {
  return cosnb_select(a > 0, 1, cosnb_select(a < 0, -1, a));
}

/* √w. The library's may set errno, which keeps a loop from becoming vector instructions; this one, by
   Newton's method on w scaled to [1, 4), differs from it by at most one unit in the last place. */
static inline REAL cosnb_sqrt(REAL w) {
#ifdef __NO_MATH_ERRNO__
  return ROOT(w);
#else
  const int small = w < SMALLEST_NORMAL;
  const BITS bits = cosnb_bits(cosnb_select(small, w * TO_NORMAL, w));
  const BITS sum = (bits >> MANTISSA_BITS) + BIAS;
  const REAL scaled = cosnb_from_bits((bits & MANTISSA) | ((BIAS + (sum & 1u)) << MANTISSA_BITS));
  const REAL half = cosnb_from_bits((sum >> 1) << MANTISSA_BITS);
  const REAL root = cosnb_root(scaled) * half * cosnb_select(small, FROM_NORMAL, 1);
  return cosnb_select((w > 0) & (w < INFINITY), root, cosnb_select(w < 0, NAN, w));
#endif
}
