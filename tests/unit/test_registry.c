/* SPDX-License-Identifier: MIT */
/* test_registry.c - the registry's content against the published one (families, spellings, some
 * digests of aimnet 0.2.5, copied here by hand), malformed registries, what names mean, the cache's
 * place, families applied to models. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aimnet_model.h"
#include "fail_alloc.h"
#include "fetch/fetch.h"
#include "model_file.h"

static aim_alloc a;
static aim_registry reg;

static int open_registry(void **state)
{
    (void)state;
    a = aim_alloc_default();
    return aim_registry_builtin(&a, &reg) != AIMNET_OK;
}

static int close_registry(void **state)
{
    (void)state;
    aim_registry_free(&reg, &a);
    return 0;
}

static int model_of(const char *name)
{
    return aim_registry_find(&reg, name, strlen(name));
}

/* ---------------------------------------------------------------- content */

static void every_published_spelling_leads_to_its_model(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"aimnet2", "aimnet2-wb97m-d3_0"},
                                           {"aimnet2-wb97m", "aimnet2-wb97m-d3_0"},
                                           {"aimnet2-b973c", "aimnet2-b973c-d3_0"},
                                           {"aimnet2-2025", "aimnet2-b973c-2025-d3_0"},
                                           {"aimnet2-nse", "aimnet2-nse_0"},
                                           {"aimnet2-pd", "aimnet2-pd_0"},
                                           {"aimnet2-rxn", "aimnet2-rxn_0"},
                                           {"aimnet2_wb97m", "aimnet2-wb97m-d3_0"},
                                           {"aimnet2_b973c", "aimnet2-b973c-d3_0"},
                                           {"aimnet2_2025", "aimnet2-b973c-2025-d3_0"},
                                           {"aimnet2nse", "aimnet2-nse_0"},
                                           {"aimnet2pd", "aimnet2-pd_0"},
                                           {"aimnet2rxn", "aimnet2-rxn_0"},
                                           {"aimnet2_wb97m_d3_3", "aimnet2-wb97m-d3_3"},
                                           {"aimnet2_b973c_d3_2", "aimnet2-b973c-d3_2"},
                                           {"aimnet2nse_1", "aimnet2-nse_1"},
                                           {"aimnet2_b973c_2025_d3_1", "aimnet2-b973c-2025-d3_1"},
                                           {"aimnet2_rxn_3", "aimnet2-rxn_3"},
                                           {"aimnet2-pd_2", "aimnet2-pd_2"},
                                           {"aimnet2_cpcm", "wb97m_cpcms_v2_0"},
                                           {"wb97m_cpcms_v2_7", "wb97m_cpcms_v2_7"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int model = model_of(names[i][0]);
        if (model < 0)
            fail_msg("%s is unknown", names[i][0]);
        assert_string_equal(reg.model[model].name, names[i][1]);
    }
    assert_int_equal(model_of("aimnet3"), -1);
    assert_int_equal(model_of(""), -1);
    assert_int_equal(reg.n_models, 6 * 4 + 8);
    assert_int_equal(reg.n_aliases, 7 + 6 + 5 * 4 + 1);
}

static void digests_are_the_published_ones(void **state)
{
    (void)state;
    static const char *const digests[][2] = {
        {"aimnet2", "f0f7c054539ad3261bd36f9b11c56d12f87cb723e25bea7521755bbd3ec24e28"},
        {"aimnet2-b973c-2025-d3_3",
         "92ee4d1c252042b42622b96b6e0de05eb9c2630af84261780c5c1e558cf8f91d"},
        {"aimnet2-nse_1", "69b50bf9938a10a16b70de49985ccf44f127c0bf4f9f736c87e862710f5259b8"},
        {"aimnet2-pd_3", "ccee19e33e894558da10f6e21de51bef4b0aeb92d11a799761f74b0e3a48cc91"},
        {"aimnet2-rxn_0", "ce8bc2a4cc6fcb5ebaa1bc8897fcd75104e5a00fe86e9d5fc6a020d572174894"},
        {"aimnet2_cpcm", ""}};
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        assert_string_equal(reg.model[model_of(digests[i][0])].sha256, digests[i][1]);
    for (int i = 0; i < reg.n_models; i++) /* the CPCM set alone has none */
        assert_int_equal(reg.model[i].sha256[0] == '\0',
                         strcmp(reg.family[reg.model[i].family].name, "cpcm") == 0);
    assert_string_equal(reg.model[model_of("aimnet2")].file, "aimnet2_wb97m_d3_0.pt");
    assert_string_equal(
        reg.model[model_of("aimnet2-nse_2")].url,
        "https://storage.googleapis.com/aimnetcentral/aimnet2v2/AIMNet2NSE/aimnet2nse_wb97m_2.pt");
}

static void members_count_within_their_family(void **state)
{
    (void)state;
    for (int i = 0; i < reg.n_models; i++)
        assert_int_equal(aim_registry_member(&reg, i, reg.model[i].member), i);
    assert_int_equal(aim_registry_member(&reg, model_of("aimnet2-rxn_2"), 4), -1);
    assert_int_equal(aim_registry_member(&reg, model_of("aimnet2-rxn_2"), -1), -1);
}

/* ---------------------------------------------------------------- malformed registries */

#define FAMILY "families: {f: {about: x}}\n"
#define MODEL  "models: {m_0: {family: f, file: m.pt, url: 'https://h/m.pt'}}\n"
#define ALIAS  "aliases: {m: m_0}\n"

static void malformed_registries_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "empty"},
        {"[]", "mapping"},
        {"families: {}\n", "models"},
        {FAMILY MODEL, "aliases"},
        {FAMILY MODEL "aliases: []\n", "aliases"},
        {"families: {f: 1}\n" MODEL ALIAS, "f"},
        {"families: {f: {}}\n" MODEL ALIAS, "about"},
        {"families: {f: {about: x, supports_charged_systems: 1}}\n" MODEL ALIAS, "charged"},
        {"families: {f: {about: x, posthoc_d3_params: 1}}\n" MODEL ALIAS, "posthoc"},
        {"families: {f: {about: x, posthoc_d3_params: {s6: 1, s8: 1, a1: 1}}}\n" MODEL ALIAS,
         "posthoc"},
        {"families: {f: {about: x, posthoc_d3_params: {s6: 1, s8: .nan, a1: 1, a2: 1}}}\n" MODEL
             ALIAS,
         "posthoc"},
        {FAMILY "models: {m: 1}\n" ALIAS, "m"},
        {FAMILY "models: {m: {file: m.pt, url: 'https://h/m'}}\n" ALIAS, "family"},
        {FAMILY "models: {m: {family: g, file: m.pt, url: 'https://h/m'}}\n" ALIAS, "family"},
        {FAMILY "models: {m: {family: f, url: 'https://h/m'}}\n" ALIAS, "file"},
        {FAMILY "models: {m: {family: f, file: ../m, url: 'https://h/m'}}\n" ALIAS, "file"},
        {FAMILY "models: {m: {family: f, file: .m, url: 'https://h/m'}}\n" ALIAS, "file"},
        {FAMILY "models: {m: {family: f, file: a/m, url: 'https://h/m'}}\n" ALIAS, "file"},
        {FAMILY "models: {m: {family: f, file: m.pt, url: 'http://h/m'}}\n" ALIAS, "url"},
        {FAMILY "models: {m: {family: f, file: m.pt, url: 'https:///m'}}\n" ALIAS, "url"},
        {FAMILY "models: {m: {family: f, file: m.pt, url: 'https://h/a b'}}\n" ALIAS, "url"},
        {FAMILY "models: {m: {family: f, file: m, url: 'https://h/m', sha256: abc}}\n" ALIAS,
         "sha256"},
        {FAMILY "models: {'m m': {family: f, file: m, url: 'https://h/m'}}\n" ALIAS, "letters"},
        {FAMILY
         "models: {m: {family: f, file: m, url: 'https://h/m'}, n: {family: f, file: m, url: "
         "'https://h/m'}}\n" ALIAS,
         "same"},
        {FAMILY MODEL "aliases: {m: n}\n", "listed"},
        {FAMILY MODEL "aliases: {m_0: m_0}\n", "alias"},
        {FAMILY MODEL "aliases: {m: 1}\n", "alias"},
        {FAMILY MODEL "aliases: {m: !!str m_0}\n", "registry"}};
    aim_registry r;
    assert_int_equal(aim_registry_parse(&a, FAMILY MODEL ALIAS, strlen(FAMILY MODEL ALIAS), &r),
                     AIMNET_OK);
    aim_registry_free(&r, &a);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (aim_registry_parse(&a, cases[i][0], strlen(cases[i][0]), &r) != AIMNET_ERR_MODEL)
            fail_msg("accepted: %s", cases[i][0]);
        if (!strstr(aimnet_last_error(), cases[i][1]))
            fail_msg("%s: %s", cases[i][0], aimnet_last_error());
    }
}

/* ---------------------------------------------------------------- names */

static void names_mean_what_is_documented(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aim_name_kind kind;
        size_t size;
        int member;
    } cases[] = {{"default", AIM_NAME_BUILTIN, 7, AIM_MEMBER_NONE},
                 {"aimnet2", AIM_NAME_REGISTRY, 7, AIM_MEMBER_NONE},
                 {"aimnet2:3", AIM_NAME_REGISTRY, 7, 3},
                 {"aimnet2:all", AIM_NAME_REGISTRY, 7, AIM_MEMBER_ALL},
                 {"aimnet2:x", AIM_NAME_PATH, 9, AIM_MEMBER_NONE},
                 {"aimnet2:-1", AIM_NAME_PATH, 10, AIM_MEMBER_NONE},
                 {"aimnet2:64", AIM_NAME_PATH, 10, AIM_MEMBER_NONE},
                 {"aimnet2:", AIM_NAME_PATH, 8, AIM_MEMBER_NONE},
                 {":all", AIM_NAME_PATH, 4, AIM_MEMBER_NONE},
                 {"./aimnet2", AIM_NAME_PATH, 9, AIM_MEMBER_NONE},
                 {"/x/y", AIM_NAME_PATH, 4, AIM_MEMBER_NONE},
                 {"../x", AIM_NAME_PATH, 4, AIM_MEMBER_NONE},
                 {"owner/name", AIM_NAME_HUB, 10, AIM_MEMBER_NONE},
                 {"owner/name@v1/b:2", AIM_NAME_HUB, 10, 2},
                 {"owner/name:all", AIM_NAME_HUB, 10, AIM_MEMBER_ALL},
                 {"owner/name.pt", AIM_NAME_PATH, 13, AIM_MEMBER_NONE},
                 {"owner/name@", AIM_NAME_PATH, 11, AIM_MEMBER_NONE},
                 {"owner/name@../x", AIM_NAME_PATH, 15, AIM_MEMBER_NONE},
                 {"owner/name@a//b", AIM_NAME_PATH, 15, AIM_MEMBER_NONE},
                 {"owner/name/more", AIM_NAME_PATH, 15, AIM_MEMBER_NONE},
                 {"owner/.name", AIM_NAME_PATH, 11, AIM_MEMBER_NONE},
                 {"owner/", AIM_NAME_PATH, 6, AIM_MEMBER_NONE},
                 {"", AIM_NAME_PATH, 0, AIM_MEMBER_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const aim_model_name n = aim_model_name_of(&reg, cases[i].text);
        if (n.kind != cases[i].kind || n.size != cases[i].size || n.member != cases[i].member)
            fail_msg("'%s': kind %d, size %zu, member %d", cases[i].text, (int)n.kind, n.size,
                     n.member);
    }
    assert_string_equal(aim_name_suggestion(&reg, "aimnet-nse"), "aimnet2-nse");
    assert_null(aim_name_suggestion(&reg, "something else entirely"));
}

static void a_registered_name_wins_over_a_file_of_that_name(void **state)
{
    (void)state;
    char old[4096];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(AIM_TEST_TMP), 0);
    (void)mkdir("aimnet2", 0777);
    (void)mkdir("folder", 0777);
    assert_int_equal(aim_model_name_of(&reg, "aimnet2").kind, AIM_NAME_REGISTRY);
    assert_int_equal(aim_model_name_of(&reg, "./aimnet2").kind, AIM_NAME_PATH);
    assert_int_equal(aim_model_name_of(&reg, "./folder:1").member, 1);
    assert_int_equal(aim_model_name_of(&reg, "folder:1").size, 6);
    (void)rmdir("aimnet2");
    (void)rmdir("folder");
    assert_int_equal(chdir(old), 0);
}

/* ---------------------------------------------------------------- cache */

static void the_cache_follows_the_environment(void **state)
{
    (void)state;
    char path[64];
    setenv("AIMNET_CACHE_DIR", "/own", 1);
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    setenv("HOME", "/home", 1);
    assert_int_equal(aimnet_cache_dir(path, sizeof path), AIMNET_OK);
    assert_string_equal(path, "/own");
    unsetenv("AIMNET_CACHE_DIR");
    assert_int_equal(aimnet_cache_dir(path, sizeof path), AIMNET_OK);
    assert_string_equal(path, "/xdg/aimnet");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_int_equal(aimnet_cache_dir(path, sizeof path), AIMNET_OK);
    assert_string_equal(path, "/home/.cache/aimnet");
    assert_int_equal(aimnet_cache_dir(path, 5), AIMNET_ERR_OVERFLOW);
    unsetenv("HOME");
    unsetenv("USERPROFILE"); /* of Windows */
    assert_int_equal(aimnet_cache_dir(path, sizeof path), AIMNET_ERR_FILE);
}

static void what_is_missing_is_named_with_place_address_and_digest(void **state)
{
    (void)state;
    aimnet_model *m;
    char path[256];
    setenv("AIMNET_CACHE_DIR", AIM_TEST_TMP "/no_cache", 1);
    assert_int_equal(aimnet_model_load("aimnet2-nse:2", NULL, &m), AIMNET_ERR_FILE);
    const char *text = aimnet_last_error();
    assert_non_null(strstr(text, "aimnet download aimnet2-nse:2"));
    assert_non_null(strstr(text, "AIMNet2NSE/aimnet2nse_wb97m_2.pt"));
    assert_non_null(
        strstr(text, "da2da46e4c01e685083dbd4db0187b5a1615e1f2471752e84fc78ba8aeeef590"));
    assert_non_null(strstr(text, "/no_cache/aimnet2nse_wb97m_2.pt"));
    setenv("AIMNET_MIRROR", "https://mirror/x/", 1);
    assert_int_equal(aimnet_model_load("aimnet2", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "https://mirror/x/aimnetcentral/aimnet2v2/"));
    unsetenv("AIMNET_MIRROR");
    assert_int_equal(aimnet_model_load("aimnet2:9", NULL, &m), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_load("aimnet2:all", NULL, &m), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_load("aimnett2", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "did you mean 'aimnet2'"));
    assert_int_equal(aimnet_model_load("https://h/m.pt", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "an address, which is not opened"));
    assert_int_equal(aimnet_model_load("", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "'': neither"));
    assert_int_equal(aimnet_model_load("me/mine", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "huggingface/me--mine@main"));
    assert_int_equal(aimnet_model_locate("default", path, sizeof path), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_locate("aimnet2", path, sizeof path), AIMNET_ERR_FILE);
}

static void put_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void a_cached_file_must_have_its_digest(void **state)
{
    (void)state;
    static const char cache[] = AIM_TEST_TMP "/cache", file[] = "/wb97m_cpcms_v2_0.pt";
    char path[512], pin[600];
    aimnet_model *m;
    torch_buffer bytes = torch_read_file(AIM_SOURCE_DIR "/tests/golden/models/base.pt");
    setenv("AIMNET_CACHE_DIR", cache, 1);
    (void)mkdir(cache, 0777);
    snprintf(path, sizeof path, "%s%s", cache, file);
    snprintf(pin, sizeof pin, "%s.sha256", path);
    (void)unlink(pin);
    put_file(path, bytes.at, bytes.n);
    assert_int_equal(aimnet_model_load("aimnet2_cpcm", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "none is pinned"));
    aimnet_fetch_options o = aimnet_fetch_options_default();
    assert_int_equal(aimnet_model_fetch("aimnet2_cpcm", &o, NULL, 0), AIMNET_ERR_FILE);
    o.allow_unverified = 1; /* pins what is there, without the network */
    assert_int_equal(aimnet_model_fetch("aimnet2_cpcm", &o, path, sizeof path), AIMNET_OK);
    assert_int_equal(aimnet_model_load("aimnet2_cpcm", NULL, &m), AIMNET_OK);
    aimnet_model_free(m);
    bytes.at[bytes.n - 1] ^= 1;
    put_file(path, bytes.at, bytes.n);
    assert_int_equal(aimnet_model_load("aimnet2_cpcm", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "SHA-256 is"));
    put_file(pin, "nonsense", 8);
    assert_int_equal(aimnet_model_load("aimnet2_cpcm", NULL, &m), AIMNET_ERR_FORMAT);
    assert_int_equal(aimnet_model_load(path, NULL, &m) == AIMNET_OK, 0); /* damaged, too */
    torch_buffer_free(&bytes);
    assert_int_equal(aimnet_cache_clear(0, NULL, NULL), AIMNET_OK);
    assert_int_equal(rmdir(cache), 0);
}

/* ---------------------------------------------------------------- families */

static void a_family_gives_what_its_file_does_not_say(void **state)
{
    (void)state;
    aimnet_model *m;
    aimnet_model_info info;
    const int rxn = aim_registry_find_family(&reg, "rxn");
    const int nse = aim_registry_find_family(&reg, "nse");
    assert_int_equal(aimnet_model_load(AIM_SOURCE_DIR "/tests/golden/models/plain.pt", NULL, &m),
                     AIMNET_OK);
    aim_model *const inner = m;
    assert_int_equal(aim_family_apply(&reg, -1, inner), AIMNET_OK); /* no family: nothing */
    assert_int_equal(inner->has_d3_params, 0);
    assert_int_equal(aim_family_apply(&reg, rxn, inner), AIMNET_OK);
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_string_equal(info.family, "rxn");
    assert_int_equal(info.supports_charged, 0);
    assert_int_equal(info.needs_dispersion, 1);
    assert_true(info.d3_s6 == 1.0 && info.d3_s8 == 0.3908 && info.d3_a1 == 0.566 &&
                info.d3_a2 == 3.128);
    assert_int_equal(aim_family_apply(&reg, nse, inner), AIMNET_ERR_MODEL);
    inner->supports_charged = 1;
    assert_int_equal(aim_family_apply(&reg, -1, inner), AIMNET_ERR_MODEL);
    aimnet_model_free(m);
}

/* ---------------------------------------------------------------- memory, arguments */

static aim_status open_and_close(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_registry *r;
    (void)ctx;
    AIM_TRY(aimnet_registry_open(hooks, &r));
    aimnet_registry_close(r);
    return AIMNET_OK;
}

static aim_status load_by_path(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *m;
    AIM_TRY(aimnet_model_load(ctx, hooks, &m));
    aimnet_model_free(m);
    return AIMNET_OK;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    char path[] = AIM_SOURCE_DIR "/tests/golden/models/plain.pt";
    fail_alloc_sweep(open_and_close, NULL);
    fail_alloc_sweep(load_by_path, path);
}

static void null_arguments_are_refused(void **state)
{
    (void)state;
    aimnet_registry_entry e;
    aimnet_fetch_options o = aimnet_fetch_options_default();
    int n;
    assert_int_equal(aimnet_registry_open(NULL, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_registry_count(NULL), 0);
    assert_int_equal(aimnet_registry_get(NULL, 0, &e), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_registry_find(NULL, "x"), -1);
    assert_null(aimnet_registry_alias(NULL, 0, NULL));
    aimnet_registry_close(NULL);
    assert_int_equal(aimnet_model_fetch(NULL, NULL, NULL, 0), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_locate(NULL, NULL, 0), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_members("x", NULL, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_members("aimnet2-nse_3:all", NULL, &n), AIMNET_OK);
    assert_int_equal(n, 4);
    assert_int_equal(aimnet_cache_dir(NULL, 0), AIMNET_ERR_ARG);
    o.retries = -1;
    assert_int_equal(aimnet_model_fetch("aimnet2", &o, NULL, 0), AIMNET_ERR_ARG);
    o.retries = 0;
    o.revision = "../x";
    assert_int_equal(aimnet_model_fetch("a/b", &o, NULL, 0), AIMNET_ERR_ARG);
    o.struct_size = 0;
    assert_int_equal(aimnet_model_fetch("a/b", &o, NULL, 0), AIMNET_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_spelling_leads_to_its_model),
        cmocka_unit_test(digests_are_the_published_ones),
        cmocka_unit_test(members_count_within_their_family),
        cmocka_unit_test(malformed_registries_are_refused_by_name),
        cmocka_unit_test(names_mean_what_is_documented),
        cmocka_unit_test(a_registered_name_wins_over_a_file_of_that_name),
        cmocka_unit_test(the_cache_follows_the_environment),
        cmocka_unit_test(what_is_missing_is_named_with_place_address_and_digest),
        cmocka_unit_test(a_cached_file_must_have_its_digest),
        cmocka_unit_test(a_family_gives_what_its_file_does_not_say),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(null_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, open_registry, close_registry);
}
