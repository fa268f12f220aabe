/* The most multiply-adds a second that registers allow, by all threads: {"f32": GFLOP/s, "bf16": GFLOP/s or null}.
   cc -O3 -march=native -pthread peak.c; with -mno-avx512f it tells AVX2's peak. */
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 20000000L

#if defined(__AVX512F__)
typedef __m512 vector;
#define SET1 _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define LOWEST _mm512_cvtss_f32
/* 16 independent chains hide the latency of 4 cycles on two units, with registers to spare. */
#define CHAINS 16
#else
typedef __m256 vector;
#define SET1 _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define LOWEST _mm256_cvtss_f32
/* 16 registers: 12 chains leave room for the factors. */
#define CHAINS 12
#endif
#define LANES (sizeof(vector) / sizeof(float))

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *f32_loop(void *sink) {
    vector sum[CHAINS], a = SET1(1e-9f), b = SET1(0.999f);
    for (int i = 0; i < CHAINS; i++) sum[i] = SET1((float)i);
    for (long round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) sum[i] = FMA(sum[i], b, a);
    }
    for (int i = 0; i < CHAINS; i++) *(volatile float *)sink += LOWEST(sum[i]);
    return NULL;
}
#define F32_FLOP (2.0 * ROUNDS * CHAINS * LANES)

#if defined(__AVX512BF16__)
static void *bf16_loop(void *sink) {
    __m512 sum[CHAINS];
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-9f), _mm512_set1_ps(1e-9f));
    __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (long round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    }
    for (int i = 0; i < CHAINS; i++) *(volatile float *)sink += LOWEST(sum[i]);
    return NULL;
}
#define BF16_FLOP (4.0 * ROUNDS * CHAINS * 16)
#endif

/* The best of five, so that a noisy moment does not lower the peak. */
static double best(void *(*loop)(void *), double flop, int threads) {
    double fastest = 1e30;
    for (int attempt = 0; attempt < 5; attempt++) {
        pthread_t others[64];
        static float sinks[64 * 64];
        double start = now();
        for (int i = 0; i < threads; i++) pthread_create(&others[i], NULL, loop, &sinks[64 * i]);
        for (int i = 0; i < threads; i++) pthread_join(others[i], NULL);
        double seconds = now() - start;
        if (seconds < fastest) fastest = seconds;
    }
    return flop * threads / fastest / 1e9;
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    if (threads < 1 || threads > 64) return 2;
    printf("{\"f32\": %.1f, ", best(f32_loop, F32_FLOP, threads));
#if defined(__AVX512BF16__)
    printf("\"bf16\": %.1f}\n", best(bf16_loop, BF16_FLOP, threads));
#else
    printf("\"bf16\": null}\n");
#endif
    return 0;
}
