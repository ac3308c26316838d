/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "image/auth.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/sha256.h"
#include "lib/mem.h"
#include "lib/str.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX
#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define DESC(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":7}"
#define IMAGE(config, layers) "{\"schemaVersion\":2,\"config\":" config ",\"layers\":[" layers "]}"
#define OCI_CONFIG DESC(OCI "config.v1+json")
#define OCI_LAYER DESC(OCI "layer.v1.tar+gzip")
#define ENTRY(os, arch, more)                                             \
	"{\"mediaType\":\"" OCI "manifest.v1+json\",\"digest\":\"" DIGEST \
	"\",\"size\":7,\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" more "}}"

static void sha256_of_the_standards_examples(void **state)
{
	static const struct {
		const char *text;
		const char *digest;
	} cases[] = {
		{ "", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
		  "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	auto_free char *million = mem_alloc(1000000);
	struct sha256 s;
	unsigned char raw[SHA256_LEN];
	char hex[65], digest[72];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sha256_digest(digest, cases[i].text, strlen(cases[i].text));
		assert_string_equal(digest, cases[i].digest);
	}
	memset(million, 'a', 1000000);
	sha256_init(&s);
	for (size_t at = 0, n = 1; at < 1000000; at += n, n = n % 200 + 1) {
		if (n > 1000000 - at)
			n = 1000000 - at;
		sha256_add(&s, million + at, n);
	}
	sha256_end(&s, raw);
	str_hex(hex, raw, sizeof(raw));
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static int parse(const char *text, const char *type, struct manifest *m, struct err *e)
{
	return manifest_parse(text, strlen(text), type, m, e);
}

static void manifests_of_both_families_are_read(void **state)
{
	auto_manifest m = { 0 };
	auto_manifest d = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(IMAGE(OCI_CONFIG, OCI_LAYER "," DESC(OCI "layer.v1.tar+zstd")),
			       OCI "manifest.v1+json", &m, &e),
			 0);
	assert_int_equal(m.kind, MANIFEST_IMAGE);
	assert_int_equal(m.nlayers, 2);
	assert_int_equal(m.layers[1].size, 7);
	assert_string_equal(m.config.digest, DIGEST);
	assert_int_equal(parse(IMAGE(DESC(DOCKER "container.image.v1+json"),
				     DESC(DOCKER "image.rootfs.diff.tar.gzip")),
			       DOCKER "distribution.manifest.v2+json", &d, &e),
			 0);
}

static void what_is_no_manifest_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *type;
		int code;
	} cases[] = {
		{ "", NULL, EBADMSG },
		{ "[]", NULL, EBADMSG },
		{ "{}", NULL, EBADMSG },
		{ "{\"schemaVersion\":1}", NULL, ENOTSUP },
		{ "{\"schemaVersion\":2}", NULL, EBADMSG },
		{ IMAGE(OCI_CONFIG, OCI_LAYER), "text/html", ENOTSUP },
		{ IMAGE(OCI_CONFIG, OCI_LAYER), OCI "index.v1+json", EBADMSG },
		{ IMAGE(OCI_CONFIG, DESC("x/y")), NULL, ENOTSUP },
		{ IMAGE(OCI_CONFIG, DESC(DOCKER "image.rootfs.foreign.diff.tar.gzip")), NULL,
		  ENOTSUP },
		{ IMAGE(DESC("x/y"), OCI_LAYER), NULL, ENOTSUP },
		{ IMAGE("{}", OCI_LAYER), NULL, EBADMSG },
		{ IMAGE(OCI_CONFIG, "7"), NULL, EBADMSG },
		{ "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", NULL, EBADMSG },
		{ "{\"schemaVersion\":2,\"manifests\":[],\"manifests\":[]}", NULL, EBADMSG },
		{ "{\"schemaVersion\":2,\"mediaType\":\"" OCI
		  "manifest.v1+json\",\"manifests\":[]}",
		  OCI "index.v1+json", EBADMSG },
		{ "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../../"
		  "x\",\"size\":1}]}",
		  NULL, EBADMSG },
		{ "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":-1}]}",
		  NULL, EBADMSG },
		{ "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" DIGEST "\"}]}", NULL,
		  EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_manifest m = { 0 };
		struct err e = { 0 };

		assert_int_equal(parse(cases[i].text, cases[i].type, &m, &e), -cases[i].code);
		assert_true(e.msg[0]);
	}
}

static void the_entry_for_this_machine_is_chosen(void **state)
{
	const char *arch = manifest_arch();
	const char *other = str_eq(arch, "amd64") ? "arm64" : "amd64";
	auto_free char *text = mem_printf(
		"{\"schemaVersion\":2,\"manifests\":[" ENTRY("linux", "%s", "") "," ENTRY(
			"windows", "%s",
			"") "," ENTRY("linux", "%s",
				      ",\"variant\":\"v9\"") "," ENTRY("linux", "%s",
								       "") "," ENTRY("unknown",
										     "unknown",
										     "") "]}",
		other, arch, arch, arch);
	auto_manifest m = { 0 };
	const struct descriptor *d;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(text, OCI "index.v1+json", &m, &e), 0);
	assert_int_equal(m.nentries, 5);
	assert_int_equal(manifest_choose(&m, &d, &e), 0);
	assert_ptr_equal(d, &m.entries[3].desc);
}

static void a_missing_platform_names_what_there_is(void **state)
{
	const char *text =
		"{\"schemaVersion\":2,\"manifests\":[" ENTRY("linux", "s390x",
							     "") "," ENTRY("windows", "amd64",
									   "") "," ENTRY("unknown",
											 "unknown",
											 "") "]}";
	auto_manifest m = { 0 };
	const struct descriptor *d;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(text, NULL, &m, &e), 0);
	assert_int_equal(manifest_choose(&m, &d, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "there are: linux/s390x, windows/amd64"));
	assert_null(strstr(e.msg, "unknown"));
}

static void a_config_says_how_to_run_and_what_it_stands_on(void **state)
{
	const char *text =
		"{\"os\":\"linux\",\"config\":{\"Env\":[\"A=1\",\"B=\"],\"Entrypoint\":[\"/e\"],"
		"\"Cmd\":null,\"User\":\"7:8\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\","
		"\"Volumes\":{\"/v\":{}},\"ExposedPorts\":{\"80/"
		"tcp\":{}},\"Labels\":{\"k\":\"v\"}},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\",\"" DIGEST "\"]}}";
	auto_config c = { 0 };
	struct err e = { 0 };
	char chain[72];

	(void)state;
	assert_int_equal(config_parse(text, strlen(text), &c, &e), 0);
	assert_string_equal(c.run.env[1], "B=");
	assert_null(c.run.env[2]);
	assert_string_equal(c.run.entrypoint[0], "/e");
	assert_null(c.run.cmd[0]);
	assert_string_equal(c.run.user, "7:8");
	assert_string_equal(c.run.working_dir, "/w");
	assert_string_equal(c.run.stop_signal, "SIGINT");
	assert_string_equal(c.run.volumes[0], "/v");
	assert_string_equal(c.run.exposed_ports[0], "80/tcp");
	assert_int_equal(c.run.nlabels, 1);
	assert_string_equal(c.run.labels[0].value, "v");
	assert_int_equal(c.nlayers, 2);
	assert_string_equal(c.chain[0], HEX);
	sha256_digest(chain, DIGEST " " DIGEST, 2 * DIGEST_LEN + 1);
	assert_string_equal(c.chain[1], digest_hex(chain));
}

static void configs_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "{}", EBADMSG },
		{ "{\"rootfs\":{\"diff_ids\":[\"x\"]}}", EBADMSG },
		{ "{\"config\":7,\"rootfs\":{\"diff_ids\":[]}}", EBADMSG },
		{ "{\"config\":{\"Env\":[7]},\"rootfs\":{\"diff_ids\":[]}}", EBADMSG },
		{ "{\"config\":{\"Labels\":{\"a\":1}},\"rootfs\":{\"diff_ids\":[]}}", EBADMSG },
		{ "{\"os\":\"windows\",\"rootfs\":{\"diff_ids\":[]}}", ENOTSUP },
		{ "{\"architecture\":\"m68k\",\"rootfs\":{\"diff_ids\":[]}}", ENOTSUP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_config c = { 0 };
		struct err e = { 0 };

		assert_int_equal(config_parse(cases[i].text, strlen(cases[i].text), &c, &e),
				 -cases[i].code);
	}
}

static void challenges_are_taken_apart(void **state)
{
	auto_challenge c = { 0 };
	auto_challenge b = { 0 };
	auto_challenge n = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(challenge_parse("Bearer realm=\"https://a/t?x\",service=\"s, \\\"q\\\"\" "
					 ", "
					 "scope=\"repository:a/b:pull,push\",x=y",
					 &c, &e),
			 0);
	assert_int_equal(c.scheme, AUTH_BEARER);
	assert_string_equal(c.realm, "https://a/t?x");
	assert_string_equal(c.service, "s, \"q\"");
	assert_string_equal(c.scope, "repository:a/b:pull,push");
	assert_int_equal(challenge_parse("basic", &b, &e), 0);
	assert_int_equal(b.scheme, AUTH_BASIC);
	assert_int_equal(challenge_parse("Negotiate abc==", &n, &e), 0);
	assert_int_equal(n.scheme, AUTH_NONE);
	assert_int_equal(challenge_parse("Bearer service=\"x\"", &n, &e), -EINVAL);
	assert_int_equal(challenge_parse("Bearer realm=\"x", &n, &e), -EINVAL);
	assert_int_equal(challenge_parse("Bearer realm", &n, &e), -EINVAL);
	assert_int_equal(challenge_parse("Bearer realm=\"a\" b=\"c\"", &n, &e), -EINVAL);
}

static void credentials_survive_base64(void **state)
{
	static const char *const passwords[] = { "", "p", "pa", "pas", "p:s", "\xc3\xa4" };
	auto_free char *text = auth_basic("user", "pass");
	char *user, *password;
	struct err e = { 0 };

	(void)state;
	assert_string_equal(text, "dXNlcjpwYXNz");
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
		auto_free char *base64 = auth_basic("u", passwords[i]);

		assert_int_equal(auth_split(base64, &user, &password, &e), 0);
		assert_string_equal(user, "u");
		assert_string_equal(password, passwords[i]);
		free(user);
		free(password);
	}
	assert_int_equal(auth_split("dXNlcg==", &user, &password, &e), -EINVAL);
	assert_int_equal(auth_split("!", &user, &password, &e), -EINVAL);
	assert_int_equal(auth_split("", &user, &password, &e), -EINVAL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(sha256_of_the_standards_examples),
	cmocka_unit_test(manifests_of_both_families_are_read),
	cmocka_unit_test(what_is_no_manifest_is_refused),
	cmocka_unit_test(the_entry_for_this_machine_is_chosen),
	cmocka_unit_test(a_missing_platform_names_what_there_is),
	cmocka_unit_test(a_config_says_how_to_run_and_what_it_stands_on),
	cmocka_unit_test(configs_that_are_none_are_refused),
	cmocka_unit_test(challenges_are_taken_apart),
	cmocka_unit_test(credentials_survive_base64),
};

TEST_MAIN(tests)
