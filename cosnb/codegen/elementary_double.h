
/* erf(x): x + x q(x^2) for |x| < 1, 1 - erfc(|x|) beyond. */
static inline REAL cosnb_erf(REAL x) {
  REAL a = fabs(x);
  REAL z = cosnb_select(a < 1.0, a * a, 1.0);
  REAL q = POLY(erf, z);
  REAL r = cosnb_select(a < 1.0, fma(a, q, a), 1.0 - cosnb_erfc_nonnegative(a));
  return cosnb_with_sign(r, x);
}

/* x = r - *low + quarters * pi / 2, |r| <= pi / 4, with 160 digits of pi / 2: for |x| <= 2^48; infinity gives NaN. */
static inline REAL cosnb_quarter_turns(REAL x, BITS *quarters, REAL *low) {
  REAL t = fma(x, TWO_OVER_PI, WIDE_ROUND);
  REAL n = t - WIDE_ROUND;
  *quarters = cosnb_bits(t);
  REAL first = fma(n, -HALF_PI, x);
  REAL second = n * HALF_PI_REST;
  REAL third = fma(n, HALF_PI_END, fma(n, HALF_PI_REST, -second));
  REAL r = first - second;
  REAL taken = first - r;
  REAL lost = (first - (r + taken)) - (second - taken);
  *low = third - lost;
  return r;
}

/* sin(r - low), cos(r - low). */
static inline REAL cosnb_sin_near(REAL r, REAL low) {
  REAL z = r * r;
  REAL q = POLY(sin, z);
  REAL v = r + fma(r * z, q, -low * fma(z, -0.5, 1.0));
  return cosnb_select(fabs(r) < TINY, r - low, v);
}

static inline REAL cosnb_cos_near(REAL r, REAL low) {
  REAL z = r * r;
  REAL q = POLY(cos, z);
  return 1.0 + fma(z, fma(z, q, -0.5), low * r);
}

/* sin x up to the limit of cosnb_quarter_turns. */
static inline REAL cosnb_sin(REAL x) {
  BITS quarters;
  REAL low;
  REAL r = cosnb_quarter_turns(x, &quarters, &low);
  REAL v = cosnb_select((int)(quarters & 1u), cosnb_cos_near(r, low), cosnb_sin_near(r, low));
  return cosnb_turn(quarters, v);
}

/* cos x up to the limit of cosnb_quarter_turns. */
static inline REAL cosnb_cos(REAL x) {
  BITS quarters;
  REAL low;
  REAL r = cosnb_quarter_turns(x, &quarters, &low);
  REAL v = cosnb_select((int)(quarters & 1u), cosnb_sin_near(r, low), cosnb_cos_near(r, low));
  return cosnb_turn(quarters + 1u, v);
}

/* tan x = sin x / cos x up to the limit of cosnb_quarter_turns. */
static inline REAL cosnb_tan(REAL x) {
  BITS quarters;
  REAL low;
  REAL r = cosnb_quarter_turns(x, &quarters, &low);
  REAL s = cosnb_sin_near(r, low);
  REAL c = cosnb_cos_near(r, low);
  int odd = (int)(quarters & 1u);
  return cosnb_select(odd, -c, s) / cosnb_select(odd, s, c);
}
