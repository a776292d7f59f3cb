/* Loops over memory for value_f32, value_f64 and, with COSNB_BACKWARD, product_f32, product_f64. */

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

static inline float from_bf16(uint16_t h) {
    const uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16; /* to nearest, ties to even */
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

static inline float from_f16(uint16_t h) {
    /* Shifted into place the exponent is 112 too small; the product is exact for subnormals too. */
    const uint32_t low = (uint32_t)(h & 0x7fffu) << 13, sign = (uint32_t)(h & 0x8000u) << 16;
    float x;
    memcpy(&x, &low, sizeof x);
    x *= 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (h & 0x7c00u) == 0x7c00u ? (low | 0x7f800000u) : bits; /* inf, NaN */
    bits |= sign;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t to_f16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = (bits >> 16) & 0x8000u, size = bits & 0x7fffffffu;
    const uint32_t normal = (size + 0x0fffu + ((size >> 13) & 1u) - 0x38000000u) >> 13;
    float small; /* below 2^-14: the last place of 0.5 is 2^-24, the step of float16's subnormals */
    memcpy(&small, &size, sizeof small);
    small += 0.5f;
    uint32_t tiny;
    memcpy(&tiny, &small, sizeof tiny);
    tiny -= 0x3f000000u;
    uint32_t h = size < 0x38800000u ? tiny : normal;
    h = size >= 0x47800000u ? 0x7c00u : h;
    h = size > 0x7f800000u ? 0x7e00u : h;
    return (uint16_t)(h | sign);
}

#define SAME(x) (x)

/* What each format computes with: float where that has digits enough. */
#define value_in_f32 value_f32
#define value_in_f16 value_f32
#define value_in_bf16 value_f32
#define value_in_f64 value_f64
#define product_in_f32 product_f32
#define product_in_f16 product_f32
#define product_in_bf16 product_f32
#define product_in_f64 product_f64
#define VALUE_IN_DOUBLE(x) ((float)value_f64((double)(x)))
#define PRODUCT_IN_DOUBLE(dy, x) ((float)product_f64((double)(dy), (double)(x)))
#ifdef COSNB_VALUE_F32_IN_DOUBLE
#undef value_in_f32
#define value_in_f32 VALUE_IN_DOUBLE
#endif
#ifdef COSNB_VALUE_F16_IN_DOUBLE
#undef value_in_f16
#define value_in_f16 VALUE_IN_DOUBLE
#endif
#ifdef COSNB_PRODUCT_F32_IN_DOUBLE
#undef product_in_f32
#define product_in_f32 PRODUCT_IN_DOUBLE
#endif
#ifdef COSNB_PRODUCT_F16_IN_DOUBLE
#undef product_in_f16
#define product_in_f16 PRODUCT_IN_DOUBLE
#endif

/* out = f(...) for each i; `begin` and `end` are the caller's. Where an argument of sin, cos or tan is beyond their limit,
   f is wrong, and computed once more: the vectors of a block only say whether it has such elements. */
#ifndef COSNB_FAR
#define EACH(S, TO, out, f, ...) for (size_t i = begin; i < end; i++) out = TO(f##_in_##S(__VA_ARGS__));
#define value_everywhere_in_f16 value_in_f16
#define value_everywhere_in_bf16 value_in_bf16
#define product_everywhere_f64 product_f64
#else
#define BLOCK 1024u
#define EACH(S, TO, out, f, ...)                                                                      \
    for (size_t first = begin, last; first < end; first = last) {                                     \
        bits_##S far = 0;                                                                             \
        last = end - first < BLOCK ? end : first + BLOCK;                                             \
        for (size_t i = first; i < last; i++) {                                                       \
            far |= (bits_##S)f##_far_in_##S(__VA_ARGS__); /* before the store: shares f's steps */    \
            out = TO(f##_in_##S(__VA_ARGS__));                                                        \
        }                                                                                             \
        for (size_t i = first; far && i < last; i++)                                                  \
            if (f##_far_in_##S(__VA_ARGS__)) out = TO(f##_everywhere_in_##S(__VA_ARGS__));            \
    }
typedef uint32_t bits_f32, bits_f16, bits_bf16;
typedef uint64_t bits_f64;
#endif

typedef struct {
    void (*loop)(const void *, const void *, void *, size_t, size_t);
    const void *x, *dy;
    void *out;
    size_t n, columns, stride, size; /* dy has rows of `columns` elements, `stride` elements apart; size in bytes */
} job;

static void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = NULL;
static int (*thread_number)(void) = NULL;
static int (*thread_count)(void) = NULL;

EXPORT void cosnb_use_openmp(void *run, void *number, void *count) {
    memcpy(&parallel, &run, sizeof run);
    memcpy(&thread_number, &number, sizeof number);
    memcpy(&thread_count, &count, sizeof count);
}

static void part(const job *j, size_t begin, size_t end) {
    if (j->columns >= j->n) {
        j->loop(j->x, j->dy, j->out, begin, end);
        return;
    }
    for (size_t i = begin; i < end; i += j->columns)
        j->loop((const char *)j->x + i * j->size, (const char *)j->dy + i / j->columns * j->stride * j->size,
                (char *)j->out + i * j->size, 0, j->columns);
}

static void work(void *data) {
    const job *j = data;
    const size_t threads = (size_t)thread_count(), self = (size_t)thread_number();
    const size_t unit = j->columns < j->n ? j->columns : 64; /* whole rows, or whole cache lines */
    const size_t share = ((j->n + threads - 1) / threads + unit - 1) / unit * unit;
    const size_t begin = self * share < j->n ? self * share : j->n;
    const size_t end = begin + share < j->n ? begin + share : j->n;
    part(j, begin, end);
}

static void run(job *j, unsigned threads) {
    if (threads > 1 && parallel != NULL)
        parallel(work, j, threads, 0);
    else
        part(j, 0, j->n);
}

#define FORWARD(S, T, FROM, TO)                                                                       \
    static void forward_##S(const void *xs, const void *dys, void *outs, size_t begin, size_t end) {  \
        const T *restrict x = xs;                                                                     \
        T *restrict y = outs;                                                                         \
        (void)dys;                                                                                    \
        EACH(S, TO, y[i], value, FROM(x[i]))                                                          \
    }                                                                                                 \
    EXPORT void cosnb_forward_##S(const void *x, const void *dy, void *y, size_t n, unsigned threads) { \
        job j = {forward_##S, x, dy, y, n, n, n, sizeof(T)};                                          \
        run(&j, threads);                                                                             \
    }

FORWARD(f32, float, SAME, SAME)
FORWARD(f64, double, SAME, SAME)
#ifdef COSNB_BY_TABLE
/* 16 bits have 65,536 values, so f is a table of 128 KB and f' one of 256 KB, filled at the first call. Data has a few
   thousand different values, which stay in the cache of the core: 0.35 ns an element each way, whatever the formula,
   where arithmetic took CoS 0.64 and 0.85 ns (one core of an AMD EPYC, 5.9 million normal numbers). */
#define VALUES 65536u

#define FORWARD_BY_TABLE(S, FROM, TO)                                                                 \
    static uint16_t values_##S[VALUES];                                                               \
    static int has_values_##S = 0;                                                                    \
    static void forward_##S(const void *xs, const void *dys, void *outs, size_t begin, size_t end) {  \
        const uint16_t *restrict x = xs;                                                              \
        uint16_t *restrict y = outs;                                                                  \
        size_t i = begin;                                                                             \
        (void)dys;                                                                                    \
        for (; i + 4 <= end; i += 4) { /* one load and one store of memory for four look-ups */       \
            uint64_t in;                                                                              \
            memcpy(&in, x + i, sizeof in);                                                            \
            const uint16_t out[4] = {values_##S[in & 0xffff], values_##S[in >> 16 & 0xffff],          \
                                     values_##S[in >> 32 & 0xffff], values_##S[in >> 48]};            \
            memcpy(y + i, out, sizeof out);                                                           \
        }                                                                                             \
        for (; i < end; i++) y[i] = values_##S[x[i]];                                                 \
    }                                                                                                 \
    EXPORT void cosnb_forward_##S(const void *x, const void *dy, void *y, size_t n, unsigned threads) { \
        job j = {forward_##S, x, dy, y, n, n, n, sizeof(uint16_t)};                                   \
        if (!__atomic_load_n(&has_values_##S, __ATOMIC_ACQUIRE)) { /* two threads write the same */   \
            for (unsigned v = 0; v < VALUES; v++)                                                     \
                values_##S[v] = TO(value_everywhere_in_##S(FROM((uint16_t)v)));                       \
            __atomic_store_n(&has_values_##S, 1, __ATOMIC_RELEASE);                                   \
        }                                                                                             \
        run(&j, threads);                                                                             \
    }

FORWARD_BY_TABLE(bf16, from_bf16, to_bf16)
FORWARD_BY_TABLE(f16, from_f16, to_f16)
#else
FORWARD(bf16, uint16_t, from_bf16, to_bf16)
FORWARD(f16, uint16_t, from_f16, to_f16)
#endif

#ifdef COSNB_BACKWARD
#define BACKWARD(S, T, FROM, TO)                                                                      \
    static void backward_##S(const void *xs, const void *dys, void *outs, size_t begin, size_t end) { \
        const T *restrict x = xs, *restrict dy = dys;                                                 \
        T *restrict dx = outs;                                                                        \
        EACH(S, TO, dx[i], product, FROM(dy[i]), FROM(x[i]))                                          \
    }                                                                                                 \
    EXPORT void cosnb_backward_##S(const void *x, const void *dy, void *dx, size_t n, unsigned threads, \
                            size_t columns, size_t stride) {                                          \
        job j = {backward_##S, x, dy, dx, n, columns, stride, sizeof(T)};                             \
        run(&j, threads);                                                                             \
    }

BACKWARD(f32, float, SAME, SAME)
BACKWARD(f64, double, SAME, SAME)
#ifdef COSNB_BY_TABLE
#define BACKWARD_BY_TABLE(S, FROM, TO)                                                                \
    static float slopes_##S[VALUES];                                                                  \
    static int has_slopes_##S = 0;                                                                    \
    static void backward_##S(const void *xs, const void *dys, void *outs, size_t begin, size_t end) { \
        const uint16_t *restrict x = xs, *restrict dy = dys;                                          \
        uint16_t *restrict dx = outs;                                                                 \
        size_t i = begin;                                                                             \
        for (; i + 32 <= end; i += 32) { /* look-ups, then a loop that compilers vectorise */         \
            float slope[32];                                                                          \
            __builtin_prefetch(x + i + 512);  /* else these loads wait behind the look-ups: a */      \
            __builtin_prefetch(dy + i + 512); /* training step took 1.6 % longer */                   \
            for (int k = 0; k < 32; k++) slope[k] = slopes_##S[x[i + k]];                             \
            for (int k = 0; k < 32; k++) dx[i + k] = TO(slope[k] * FROM(dy[i + k]));                  \
        }                                                                                             \
        for (; i < end; i++) dx[i] = TO(slopes_##S[x[i]] * FROM(dy[i]));                              \
    }                                                                                                 \
    EXPORT void cosnb_backward_##S(const void *x, const void *dy, void *dx, size_t n, unsigned threads, \
                            size_t columns, size_t stride) {                                          \
        job j = {backward_##S, x, dy, dx, n, columns, stride, sizeof(uint16_t)};                      \
        if (!__atomic_load_n(&has_slopes_##S, __ATOMIC_ACQUIRE)) {                                    \
            for (unsigned v = 0; v < VALUES; v++)                                                     \
                slopes_##S[v] = (float)product_everywhere_f64(1.0, (double)FROM((uint16_t)v));        \
            __atomic_store_n(&has_slopes_##S, 1, __ATOMIC_RELEASE);                                   \
        }                                                                                             \
        run(&j, threads);                                                                             \
    }

BACKWARD_BY_TABLE(bf16, from_bf16, to_bf16)
BACKWARD_BY_TABLE(f16, from_f16, to_f16)
#else
BACKWARD(bf16, uint16_t, from_bf16, to_bf16)
BACKWARD(f16, uint16_t, from_f16, to_f16)
#endif
#endif
