/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/config.h"

#include <string.h>

#include "image/manifest.h"
#include "image/sha256.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"

void texts_free(char **texts)
{
	for (char **t = texts; t && *t; t++)
		free(*t);
	free(texts);
}

void image_config_done(struct image_config *c)
{
	texts_free(c->env);
	texts_free(c->entrypoint);
	texts_free(c->cmd);
	texts_free(c->volumes);
	texts_free(c->exposed_ports);
	free(c->working_dir);
	free(c->user);
	free(c->stop_signal);
	for (size_t i = 0; i < c->nlabels; i++) {
		free(c->labels[i].key);
		free(c->labels[i].value);
	}
	free(c->labels);
	*c = (struct image_config){ 0 };
}

void config_done(struct config *c)
{
	image_config_done(&c->run);
	free(c->diff_ids);
	texts_free(c->chain);
	*c = (struct config){ 0 };
}

static int take_texts(const struct json *obj, const char *key, char ***ret, struct err *e)
{
	const struct json *list = NULL;
	char **texts;
	size_t n = 0;

	if (json_get_array(obj, key, &list, e) < 0)
		return -e->code;
	texts = mem_array((list ? list->count : 0) + 1, sizeof(*texts));
	*ret = texts;
	json_each(node, list) {
		if (node->type != JSON_STRING)
			return err_set(e, EBADMSG, "%s holds something that is no text", key);
		texts[n++] = mem_strdup(node->text);
	}
	return 0;
}

/* a set written as an object with empty members */
static int take_keys(const struct json *obj, const char *key, char ***ret, struct err *e)
{
	const struct json *set = NULL;
	size_t n = 0;

	if (json_get_object(obj, key, &set, e) < 0)
		return -e->code;
	*ret = mem_array((set ? set->count : 0) + 1, sizeof(**ret));
	json_each(node, set)
		(*ret)[n++] = mem_strdup(node->key);
	return 0;
}

static int take_text(const struct json *obj, const char *key, char **ret, struct err *e)
{
	const char *text = "";

	if (json_get_text(obj, key, &text, e) < 0)
		return -e->code;
	*ret = mem_strdup(text);
	return 0;
}

static int take_labels(const struct json *obj, struct image_config *run, struct err *e)
{
	const struct json *set = NULL;

	if (json_get_object(obj, "Labels", &set, e) < 0)
		return -e->code;
	run->labels = mem_array((set ? set->count : 0) + 1, sizeof(run->labels[0]));
	json_each(node, set) {
		if (node->type != JSON_STRING)
			return err_set(e, EBADMSG, "a label that is no text");
		run->labels[run->nlabels++] = (struct image_label){
			.key = mem_strdup(node->key),
			.value = mem_strdup(node->text),
		};
	}
	return 0;
}

static int take_run(const struct json *root, struct image_config *run, struct err *e)
{
	const struct json *obj = NULL;

	if (json_get_object(root, "config", &obj, e) < 0 ||
	    take_texts(obj, "Env", &run->env, e) < 0 ||
	    take_texts(obj, "Entrypoint", &run->entrypoint, e) < 0 ||
	    take_texts(obj, "Cmd", &run->cmd, e) < 0 ||
	    take_keys(obj, "Volumes", &run->volumes, e) < 0 ||
	    take_keys(obj, "ExposedPorts", &run->exposed_ports, e) < 0 ||
	    take_text(obj, "WorkingDir", &run->working_dir, e) < 0 ||
	    take_text(obj, "User", &run->user, e) < 0 ||
	    take_text(obj, "StopSignal", &run->stop_signal, e) < 0 || take_labels(obj, run, e) < 0)
		return -e->code;
	return 0;
}

static int check_platform(const struct json *root, struct err *e)
{
	const char *os = "linux", *arch = manifest_arch();
	auto_free char *both = NULL, *shown = NULL;

	if (json_get_text(root, "os", &os, e) < 0 ||
	    json_get_text(root, "architecture", &arch, e) < 0)
		return -e->code;
	if ((!os[0] || str_eq(os, "linux")) && (!arch[0] || str_eq(arch, manifest_arch())))
		return 0;
	both = mem_printf("%.40s/%.40s", os, arch);
	shown = str_escape(both, strlen(both), 80);
	return err_set(e, ENOTSUP, "the image is for %s, this machine is linux/%s", shown,
		       manifest_arch());
}

/* chain id of a layer: digest of "CHAIN-BELOW DIFF-ID"; of the bottom one: its diff id */
static void chain_layers(struct config *c)
{
	char chain[DIGEST_LEN + 1];

	c->chain = mem_array(c->nlayers + 1, sizeof(*c->chain));
	for (size_t i = 0; i < c->nlayers; i++) {
		if (i == 0) {
			memcpy(chain, c->diff_ids[i], sizeof(chain));
		} else {
			auto_free char *both = mem_printf("%s %s", chain, c->diff_ids[i]);

			sha256_digest(chain, both, strlen(both));
		}
		c->chain[i] = mem_strdup(digest_hex(chain));
	}
}

static int take_layers(const struct json *root, struct config *c, struct err *e)
{
	const struct json *rootfs = NULL, *list = NULL;

	if (json_get_object(root, "rootfs", &rootfs, e) < 0 ||
	    json_get_array(rootfs, "diff_ids", &list, e) < 0)
		return -e->code;
	if (!list)
		return err_set(e, EBADMSG, "no rootfs.diff_ids");
	if (list->count > MANIFEST_LAYERS_MAX)
		return err_set(e, EBADMSG, "more than %d layers", MANIFEST_LAYERS_MAX);
	c->diff_ids = mem_array(list->count + 1, sizeof(*c->diff_ids));
	json_each(node, list) {
		if (node->type != JSON_STRING || !digest_valid(node->text))
			return err_set(e, EBADMSG, "malformed digest in rootfs.diff_ids");
		memcpy(c->diff_ids[c->nlayers++], node->text, DIGEST_LEN + 1);
	}
	chain_layers(c);
	return 0;
}

int config_parse(const char *text, size_t len, struct config *ret, struct err *e)
{
	auto_config c = { 0 };
	auto_json *root = NULL;

	if (len > MANIFEST_MAX)
		return err_set(e, EBADMSG, "more than %u bytes", MANIFEST_MAX);
	if (json_parse(text, len, &root, e) < 0) {
		e->code = EBADMSG;
		return -EBADMSG;
	}
	if (root->type != JSON_OBJECT)
		return err_set(e, EBADMSG, "not a JSON object");
	if (check_platform(root, e) < 0 || take_run(root, &c.run, e) < 0 ||
	    take_layers(root, &c, e) < 0) {
		if (e->code != ENOTSUP)
			e->code = EBADMSG;
		return -e->code;
	}
	*ret = c;
	c = (struct config){ 0 };
	return 0;
}
