
/* erf(x): x + x q(x^2) for |x| < 1, 1 - q(|x| - 5/2) up to 4. */
static inline REAL cosnb_erf(REAL x) {
  REAL a = cosnb_at_most(4.0, fabs(x));
  REAL z = a * a;
  REAL q = POLY(erf, z);
  REAL d = a - 2.5;
  REAL tail = POLY(erf_tail, d);
  return cosnb_with_sign(cosnb_select(a < 1.0, fma(a, q, a), 1.0 - tail), x);
}

/* x = r + quarters * pi / 2, |r| <= pi / 4, reduced in double with 107 digits of pi / 2: for |x| <= 2^48;
   infinity gives NaN. */
static inline REAL cosnb_quarter_turns(REAL x, BITS *quarters) {
  double wide = (double)x;
  double t = WIDE_FMA(wide, WIDE_TWO_OVER_PI, WIDE_ROUND);
  double n = t - WIDE_ROUND;
  uint64_t i;
  memcpy(&i, &t, sizeof i);
  *quarters = (BITS)i;
  return (REAL)WIDE_FMA(n, -WIDE_HALF_PI_2, WIDE_FMA(n, -WIDE_HALF_PI_1, wide));
}

static inline REAL cosnb_sin_near(REAL r) {
  REAL z = r * r;
  REAL q = POLY(sin, z);
  return cosnb_select(z < TINY, r, fma(r * z, q, r));
}

static inline REAL cosnb_cos_near(REAL r) {
  REAL z = r * r;
  REAL q = POLY(cos, z);
  return fma(z, fma(z, q, -0.5), 1.0);
}

/* sin x up to the limit of cosnb_quarter_turns. */
static inline REAL cosnb_sin(REAL x) {
  BITS quarters;
  REAL r = cosnb_quarter_turns(x, &quarters);
  REAL v = cosnb_select((int)(quarters & 1u), cosnb_cos_near(r), cosnb_sin_near(r));
  return cosnb_turn(quarters, v);
}

/* cos x up to the limit of cosnb_quarter_turns. */
static inline REAL cosnb_cos(REAL x) {
  BITS quarters;
  REAL r = cosnb_quarter_turns(x, &quarters);
  REAL v = cosnb_select((int)(quarters & 1u), cosnb_sin_near(r), cosnb_cos_near(r));
  return cosnb_turn(quarters + 1u, v);
}

/* tan x = sin x / cos x up to the limit of cosnb_quarter_turns. */
static inline REAL cosnb_tan(REAL x) {
  BITS quarters;
  REAL r = cosnb_quarter_turns(x, &quarters);
  REAL s = cosnb_sin_near(r);
  REAL c = cosnb_cos_near(r);
  int odd = (int)(quarters & 1u);
  return cosnb_select(odd, -c, s) / cosnb_select(odd, s, c);
}
