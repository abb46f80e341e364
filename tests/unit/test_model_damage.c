/* SPDX-License-Identifier: MIT */
/* test_model_damage.c - a generated corpus of malformed model files: v2 .pt, TorchScript and
 * safetensors. Of a small model of each format:
 *   - every truncation;
 *   - every single-bit flip of the structure: all bytes that are not data of a tensor, a pickle or
 *     a piece of code, that is, headers, names, paddings, descriptors, directory and end records;
 *   - every fifth 2-, 4- and 8-byte window of the structure (which are at all offsets) at 0, 1, its
 *     largest, -1, and one off.
 * Each file is refused with a message that begins with its name, or loads; what loads must compute,
 * bit for bit, what the undamaged one does. One in fifty of those is computed; of TorchScript, whose
 * archives hold sixty pieces of code, every 13th flip and field is taken, and in the sanitizer
 * builds, which are ten times slower, every STEP-th case. "all" as an argument takes and computes
 * every one.
 *
 * Descriptions (config.json of safetensors, the YAML of a checkpoint) are text without a checksum:
 * every truncation and every flip of a bit is refused with their name, or is another description,
 * whose model loads. */
#include "model_file.h"

#include <stdio.h>
#include <unistd.h>

#include "aimnet_model.h"
#include "io/zip.h"
#include "model/model.h"

#ifdef AIM_REDZONES
enum { STEP = 37 };
#else
enum { STEP = 1 };
#endif

static int take_all;

static size_t step_of(size_t step)
{
    return take_all ? 1 : step * STEP;
}

typedef struct corpus {
    torch_buffer file, config; /* config: of safetensors, else empty */
    unsigned char *structure;  /* [file.n] 1: not data */
    double energy;             /* of the undamaged model */
    size_t step;               /* of all cases, one in so many */
    long cases, refused, same;
} corpus;

/* Energy and the first force of a distorted water, whose bits depend on every weight. */
static double compute(aimnet_model *m)
{
    static const int32_t numbers[] = {8, 1, 1};
    static const double coord[] = {0.0, 0.0, 0.12, 0.0, 0.79, -0.47, 0.03, -0.75, -0.5};
    const aimnet_system system = {.n_atoms = 3, .numbers = numbers, .coord = coord};
    double forces[9];
    aimnet_options options = aimnet_options_default();
    aimnet_result result = {.forces = forces};
    aimnet_calc *calc;
    options.threads = 1;
    assert_int_equal(aimnet_calc_create(&m, 1, &options, &calc), AIMNET_OK);
    if (aimnet_calc_eval(calc, &system, 1, &result) != AIMNET_OK)
        fail_msg("%s", result.message);
    aimnet_calc_free(calc);
    return result.energy + 1e-3 * forces[0];
}

static aim_status load(const corpus *c, const unsigned char *bytes, size_t size, aim_model **m)
{
    const aim_alloc a = aim_alloc_default();
    const aim_model_bytes in = {.bytes = bytes,
                                .size = size,
                                .config = c->config.at,
                                .config_size = c->config.n,
                                .config_name = "damaged"};
    return aim_model_build(&a, &in, "damaged", m);
}

static void check(corpus *c, const unsigned char *bytes, size_t size)
{
    aim_model *m = NULL;
    const aim_status status = load(c, bytes, size, &m);
    c->cases++;
    if (status == AIMNET_OK) {
        c->same++;
        if (take_all || c->same % 50 == 1)
            assert_true(compute(m) == c->energy);
        aim_model_free(m);
        return;
    }
    c->refused++;
    assert_null(m);
    assert_true(status == AIMNET_ERR_FORMAT || status == AIMNET_ERR_MODEL);
    assert_ptr_equal(strstr(aimnet_last_error(), "damaged"), aimnet_last_error());
}

/* ---------------------------------------------------------------- what is structure */

static void mark_zip(corpus *c)
{
    const aim_alloc a = aim_alloc_default();
    aim_zip zip;
    assert_int_equal(aim_zip_open(&a, c->file.at, c->file.n, &zip), AIMNET_OK);
    memset(c->structure, 1, c->file.n);
    for (size_t i = 0; i < zip.n_entries; i++)
        memset(c->structure + (zip.entry[i].data - c->file.at), 0, zip.entry[i].size);
    aim_zip_free(&zip, &a);
}

static void mark_safetensors(corpus *c)
{
    size_t header = 8;
    for (int i = 0; i < 8; i++)
        header += (size_t)c->file.at[i] << (8 * i);
    memset(c->structure, 1, header);
}

static void open_corpus(corpus *c, const char *file, const char *config)
{
    aim_model *m = NULL;
    *c = (corpus){.file = torch_read_file(file)};
    if (config)
        c->config = torch_read_file(config);
    c->structure = calloc(c->file.n, 1);
    assert_non_null(c->structure);
    if (config)
        mark_safetensors(c);
    else
        mark_zip(c);
    assert_int_equal(load(c, c->file.at, c->file.n, &m), AIMNET_OK);
    c->energy = compute(m);
    aim_model_free(m);
}

static void close_corpus(corpus *c, const char *what)
{
    print_message("%s: %ld damaged files, %ld refused, %ld the same\n", what, c->cases, c->refused,
                  c->same);
    assert_true(c->refused > c->cases / 2);
    if (STEP == 1 || take_all)
        assert_true(c->cases >= 5000);
    torch_buffer_free(&c->file);
    torch_buffer_free(&c->config);
    free(c->structure);
}

/* ---------------------------------------------------------------- the three kinds of damage */

static void truncate_everywhere(corpus *c)
{
    for (size_t n = 0; n < c->file.n; n += step_of(1)) {
        unsigned char *exact = malloc(n ? n : 1); /* so that reading behind the end is seen */
        assert_non_null(exact);
        memcpy(exact, c->file.at, n);
        const long same = c->same;
        check(c, exact, n);
        assert_int_equal(c->same, same);
        free(exact);
    }
}

static void flip_every_bit(corpus *c)
{
    size_t k = 0;
    for (size_t bit = 0; bit < 8 * c->file.n; bit++) {
        if (!c->structure[bit / 8] || k++ % c->step)
            continue;
        c->file.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        check(c, c->file.at, c->file.n);
        c->file.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

static uint64_t get(const unsigned char *at, size_t width)
{
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

static void put(unsigned char *at, size_t width, uint64_t v)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (unsigned char)(v >> (8 * i));
}

static void set_every_field(corpus *c)
{
    size_t k = 0;
    for (size_t at = 0; at < c->file.n; at++)
        for (size_t width = 2; width <= 8 && at + width <= c->file.n; width *= 2) {
            if (!c->structure[at] || !c->structure[at + width - 1] || k++ % (5 * c->step))
                continue;
            const uint64_t v = get(c->file.at + at, width);
            const uint64_t values[] = {0,     1,    UINT64_MAX, UINT64_MAX >> (65 - 8 * width),
                                       v + 1, v - 1};
            for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
                put(c->file.at + at, width, values[i]);
                check(c, c->file.at, c->file.n);
            }
            put(c->file.at + at, width, v);
        }
}

static void damage(const char *what, const char *file, const char *config, size_t step)
{
    corpus c;
    open_corpus(&c, file, config);
    c.step = step_of(step);
    truncate_everywhere(&c);
    flip_every_bit(&c);
    set_every_field(&c);
    close_corpus(&c, what);
}

#define MODELS  AIM_SOURCE_DIR "/tests/golden/models/"
#define EXPORTS AIM_SOURCE_DIR "/tests/golden/export/"

static void a_damaged_pt_is_refused_or_the_same(void **state)
{
    (void)state;
    damage("v2 .pt", MODELS "pass2.pt", NULL, 1);
}

static void a_damaged_script_is_refused_or_the_same(void **state)
{
    (void)state;
    damage("TorchScript", MODELS "script_nse.jpt", NULL, 13);
}

static void a_damaged_safetensors_is_refused_or_the_same(void **state)
{
    (void)state;
    static const char weights[] = AIM_TEST_TMP "/damage.safetensors";
    static const char config[] = AIM_TEST_TMP "/damage.json";
    aimnet_model *m;
    assert_int_equal(aimnet_model_load(MODELS "pass2.pt", NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_save(m, weights, AIMNET_FILE_SAFETENSORS, 0), AIMNET_OK);
    aimnet_model_free(m);
    damage("safetensors", weights, config, 1);
    (void)unlink(weights);
    (void)unlink(config);
}

/* ---------------------------------------------------------------- descriptions */

/* Loads weights with a damaged description beside them. */
static aim_status describe(const torch_buffer *weights, const unsigned char *text, size_t size)
{
    const aim_alloc a = aim_alloc_default();
    aim_model *m = NULL;
    const aim_model_bytes in = {.bytes = weights->at,
                                .size = weights->n,
                                .config = text,
                                .config_size = size,
                                .config_name = "config"};
    const aim_status status = aim_model_build(&a, &in, "damaged", &m);
    assert_true(status == AIMNET_OK || status == AIMNET_ERR_FORMAT || status == AIMNET_ERR_MODEL);
    assert_int_equal(m == NULL, status != AIMNET_OK);
    if (status != AIMNET_OK)
        assert_ptr_equal(strstr(aimnet_last_error(), "damaged: "), aimnet_last_error());
    aim_model_free(m);
    return status;
}

static void damage_description(const char *what, const char *weights_path, torch_buffer text)
{
    torch_buffer weights = torch_read_file(weights_path);
    long cases = 0, refused = 0;
    assert_int_equal(describe(&weights, text.at, text.n), AIMNET_OK);
    for (size_t n = 0; n < text.n; n += step_of(1), cases++) {
        unsigned char *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, text.at, n);
        refused += describe(&weights, exact, n) != AIMNET_OK;
        free(exact);
    }
    for (size_t bit = 0; bit < 8 * text.n; bit += step_of(1), cases++) {
        text.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        refused += describe(&weights, text.at, text.n) != AIMNET_OK;
        text.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    print_message("%s: %ld damaged descriptions, %ld refused\n", what, cases, refused);
    assert_true(refused > cases / 2);
    torch_buffer_free(&weights);
    torch_buffer_free(&text);
}

static void a_damaged_config_json_is_refused_or_another_description(void **state)
{
    (void)state;
    damage_description("config.json", MODELS "hf_base/ensemble_0.safetensors",
                       torch_read_file(MODELS "hf_base/config.json"));
}

static void a_damaged_yaml_is_refused_or_another_description(void **state)
{
    (void)state;
    damage_description("YAML of a checkpoint", EXPORTS "coulomb.weights.pt",
                       torch_read_file(EXPORTS "coulomb.yaml"));
}

int main(int argc, char **argv)
{
    take_all = argc > 1 && strcmp(argv[1], "all") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_pt_is_refused_or_the_same),
        cmocka_unit_test(a_damaged_script_is_refused_or_the_same),
        cmocka_unit_test(a_damaged_safetensors_is_refused_or_the_same),
        cmocka_unit_test(a_damaged_config_json_is_refused_or_another_description),
        cmocka_unit_test(a_damaged_yaml_is_refused_or_another_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
