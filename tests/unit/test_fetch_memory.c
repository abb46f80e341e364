/* SPDX-License-Identifier: MIT */
/* test_fetch_memory.c - calls on published models and their cache, which take no allocator: every
 * malloc fails in turn, also inside libyaml. What libcurl takes is its own matter: downloads end at
 * an address where nobody listens. */
#define _GNU_SOURCE
#include "fail_alloc.h"
#include "fail_malloc.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aimnet_model.h"
#include "aimnet_vib.h"

#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"
#define CACHE  AIM_TEST_TMP "/memory_cache"
#define BASE   CACHE "/wb97m_cpcms_v2_0.pt"
#define HUB    CACHE "/huggingface/me--family@main"

static void copy_file(const char *from, const char *to)
{
    char bytes[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static int fill_cache(void **state)
{
    (void)state;
    aimnet_fetch_options o = aimnet_fetch_options_default();
    o.allow_unverified = 1;
    setenv("AIMNET_CACHE_DIR", CACHE, 1);
    setenv("AIMNET_MIRROR", "https://127.0.0.1:1/x", 1);
    setenv("HF_ENDPOINT", "https://127.0.0.1:1", 1);
    (void)mkdir(CACHE, 0777);
    (void)mkdir(CACHE "/huggingface", 0777);
    (void)mkdir(HUB, 0777);
    copy_file(MODELS "base.pt", BASE);
    copy_file(MODELS "hf_base/ensemble_0.safetensors", HUB "/ensemble_0.safetensors");
    FILE *config = fopen(HUB "/config.json", "w");
    fputs("{\"member_names\": [\"wb97m_cpcms_v2_0\"]}", config);
    return fclose(config) != 0 || aimnet_model_fetch("aimnet2_cpcm", &o, NULL, 0) != AIMNET_OK;
}

static int clear_cache(void **state)
{
    (void)state;
    return aimnet_cache_clear(0, NULL, NULL) != AIMNET_OK || rmdir(CACHE) != 0;
}

/* Every malloc of the call fails once: MEMORY; undisturbed, it gives `expected`, after at least
 * `least` calls of malloc. */
static void sweep(aimnet_status (*call)(void), aimnet_status expected, long least)
{
    long n = 0, refused;
    do {
        fail_malloc_arm(++n, 0);
        const aimnet_status status = call();
        refused = fail_malloc_disarm();
        if (status != (refused ? AIMNET_ERR_MEMORY : expected))
            fail_msg("refusal %ld: %s: %s", n, aimnet_status_name(status), aimnet_last_error());
    } while (refused > 0);
    assert_true(n > least);
}

static char path[4096];

static aimnet_status locate(void)
{
    return aimnet_model_locate("aimnet2_cpcm", path, sizeof path);
}

static aimnet_status locate_nothing(void)
{
    return aimnet_model_locate("aimnet2-nse:2", path, sizeof path);
}

static aimnet_status locate_repository(void)
{
    return aimnet_model_locate("me/family", path, sizeof path);
}

static aimnet_status locate_no_repository(void)
{
    return aimnet_model_locate("me/nothing", path, sizeof path);
}

static void looking_for_models_survives(void **state)
{
    (void)state;
    sweep(locate, AIMNET_OK, 5);
    sweep(locate_nothing, AIMNET_ERR_FILE, 5);
    sweep(locate_repository, AIMNET_OK, 5);
    sweep(locate_no_repository, AIMNET_ERR_FILE, 5);
}

static aimnet_status load(const char *name)
{
    aimnet_model *m = NULL;
    const aimnet_status status = aimnet_model_load(name, NULL, &m);
    aimnet_model_free(m);
    return status;
}

static aimnet_status load_listed(void)
{
    return load("aimnet2_cpcm");
}

static aimnet_status load_repository(void)
{
    return load("me/family");
}

static void loading_by_name_survives(void **state)
{
    (void)state;
    sweep(load_listed, AIMNET_OK, 20);
    sweep(load_repository, AIMNET_OK, 30);
}

static int count;

static aimnet_status members_of_family(void)
{
    return aimnet_model_members("aimnet2:all", NULL, &count);
}

static aimnet_status members_of_repository(void)
{
    return aimnet_model_members("me/family:all", NULL, &count);
}

static void counting_members_survives(void **state)
{
    (void)state;
    sweep(members_of_family, AIMNET_OK, 3);
    assert_int_equal(count, 4);
    sweep(members_of_repository, AIMNET_OK, 3);
    assert_int_equal(count, 1);
}

static aimnet_status fetch(const char *name)
{
    aimnet_fetch_options o = aimnet_fetch_options_default();
    o.allow_unverified = 1;
    o.retries = 0;
    return aimnet_model_fetch(name, &o, path, sizeof path);
}

static aimnet_status fetch_what_is_there(void)
{
    return fetch("aimnet2_cpcm");
}

static aimnet_status pin_what_is_there(void)
{
    (void)unlink(BASE ".sha256");
    return fetch("aimnet2_cpcm");
}

static aimnet_status fetch_from_nobody(void)
{
    return fetch("aimnet2-nse");
}

static aimnet_status fetch_repository_from_nobody(void)
{
    return fetch("me/nothing");
}

static void fetching_survives(void **state)
{
    (void)state;
    sweep(fetch_what_is_there, AIMNET_OK, 5);
    sweep(pin_what_is_there, AIMNET_OK, 5);
    const aimnet_status without_network = fetch_from_nobody(); /* UNSUPPORTED without libcurl */
    sweep(fetch_from_nobody, without_network, 5);
    sweep(fetch_repository_from_nobody, without_network, 5);
}

static aimnet_status cache_dir(void)
{
    return aimnet_cache_dir(path, sizeof path);
}

static aimnet_status look_into_cache(void)
{
    return aimnet_cache_clear(1, NULL, NULL);
}

static void the_cache_survives(void **state)
{
    (void)state;
    sweep(cache_dir, AIMNET_OK, 1);
    sweep(look_into_cache, AIMNET_OK, 5);
}

static aimnet_status save_matrix(void)
{
    static const double x[4] = {1.0, 2.0, 3.0, 4.0};
    return aimnet_matrix_save(AIM_TEST_TMP "/memory.npy", x, 2, 2);
}

static aimnet_status load_matrix(void)
{
    double x[4];
    return aimnet_matrix_load(AIM_TEST_TMP "/memory.npy", x, 2, 2);
}

static void matrices_survive(void **state)
{
    (void)state;
    sweep(save_matrix, AIMNET_OK, 1);
    sweep(load_matrix, AIMNET_OK, 1);
    assert_int_equal(unlink(AIM_TEST_TMP "/memory.npy"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking_for_models_survives), cmocka_unit_test(loading_by_name_survives),
        cmocka_unit_test(counting_members_survives),   cmocka_unit_test(fetching_survives),
        cmocka_unit_test(the_cache_survives),          cmocka_unit_test(matrices_survive),
    };
    return cmocka_run_group_tests(tests, fill_cache, clear_cache);
}
