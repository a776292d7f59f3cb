FUNCTIONS = {"exp_nonpositive": 0, "expm1_nonpositive": 0}
F = '''static inline float cosnb_partsf(float y, float *scale) {
    float k = fmaf(y, 0x1.715476p+0f, 0x1.8p23f); uint32_t b; memcpy(&b,&k,4); b = (b << 23) + 0x3f800000u; memcpy(scale,&b,4);
    k -= 0x1.8p23f;
    const float r = fmaf(k, -0x1.7f7d1cp-20f, fmaf(k, -0x1.62e4p-1f, y));
    float p = 0x1.6850e4p-10f; p = fmaf(p,r,0x1.123bccp-7f); p = fmaf(p,r,0x1.555b98p-5f); p = fmaf(p,r,0x1.55548ep-3f); p = fmaf(p,r,0x1.fffff8p-2f);
    return fmaf(p * r, r, r);
}
static inline float cosnb_exp_nonpositivef(float y) { float s, p = cosnb_partsf(y, &s); return fmaf(s, p, s); }
static inline float cosnb_expm1_nonpositivef(float y) { float s, p = cosnb_partsf(y, &s); return fmaf(s, p, s - 1.0f); }
'''
D = '''static inline double cosnb_parts(double y, double *scale) {
    double k = fma(y, 0x1.71547652b82fep+0, 0x1.8p52); uint64_t b; memcpy(&b,&k,8); b = (b << 52) + 0x3ff0000000000000u; memcpy(scale,&b,8);
    k -= 0x1.8p52;
    const double r = fma(k, -0x1.abc9e3b39803fp-56, fma(k, -0x1.62e42fefa39efp-1, y));
    double p = 1.0/6227020800.; p = fma(p,r,1./479001600.); p = fma(p,r,1./39916800.);p = fma(p,r,1./3628800.);p = fma(p,r,1./362880.);p = fma(p,r,1./40320.);p = fma(p,r,1./5040.);p = fma(p,r,1./720.);p = fma(p,r,1./120.);p = fma(p,r,1./24.);p = fma(p,r,1./6.);p = fma(p,r,.5);
    return fma(p * r, r, r);
}
static inline double cosnb_exp_nonpositive(double y) { double s, p = cosnb_parts(y, &s); return fma(s, p, s); }
static inline double cosnb_expm1_nonpositive(double y) { double s, p = cosnb_parts(y, &s); return fma(s, p, s - 1.0); }
'''
def definitions(names, dtype): return (F if dtype=='float' else D) if list(names) else ''
