/*
 * cavactl selftest, Samba's configuration: is vfs_cava in the shares, and is
 * the hidden share there? As testparm and net conf print it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cavactl/program.h"
#include "cavactl/selftest.h"

/* Where the section is in what testparm prints, or NULL. */
static const char *samba_section(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *p = text;

	while (p != NULL && *p != '\0') {
		const char *line = p + strspn(p, " \t");

		if (line[0] == '[' && strncasecmp(line + 1, name, len) == 0 &&
		    line[len + 1] == ']') {
			return strchr(line, '\n');
		}
		p = strchr(p, '\n');
		p = p == NULL ? NULL : p + 1;
	}
	return NULL;
}

/*
 * The value of a parameter in a section, at most size - 1 bytes of it. False:
 * it is not there.
 */
static bool samba_value(const char *section, const char *name, char *to,
			size_t size)
{
	const char *p = section;
	size_t len = strlen(name);

	while (p != NULL && p[0] == '\n' && p[1] != '\0') {
		const char *line = p + 1 + strspn(p + 1, " \t");

		if (line[0] == '[') {
			return false;
		}
		if (strncasecmp(line, name, len) == 0 &&
		    line[len + strspn(line + len, " \t")] == '=') {
			line = strchr(line, '=') + 1;
			line += strspn(line, " \t");
			snprintf(to, size, "%.*s",
				 (int)strcspn(line, "\n"), line);
			return true;
		}
		p = strchr(p + 1, '\n');
	}
	return false;
}

/* Is cava among the modules? */
static bool samba_has_cava(const char *objects)
{
	const char *p = objects;

	while (*p != '\0') {
		size_t len = strcspn(p, " \t,");

		if (len == 4 && strncasecmp(p, "cava", 4) == 0) {
			return true;
		}
		p += len;
		p += strspn(p, " \t,");
	}
	return false;
}

struct samba {
	char *text;		/* smb.conf, by testparm */
	char *registry;		/* by net conf list */
};

/* In the one or the other; "" = not there. */
static const char *samba_find(const struct samba *s, const char *share)
{
	const char *section = samba_section(s->text, share);

	return section != NULL ? section :
	       samba_section(s->registry, share);
}

static bool samba_objects(const struct samba *s, const char *section,
			  char *to, size_t size)
{
	const char *global = samba_section(s->text, "global");

	return samba_value(section, "vfs objects", to, size) ||
	       (global != NULL &&
		samba_value(global, "vfs objects", to, size));
}

static void samba_share(struct selftest *t, const struct samba *s,
			const char *share)
{
	const char *section = samba_find(s, share);
	char objects[256] = "";

	if (section == NULL) {
		selftest_step(t, "share", share, SELFTEST_WARNING, "if it was "
			      "removed for good: nothing to do",
			      "cavad knows it, Samba has it no longer");
		return;
	}
	if (!samba_objects(s, section, objects, sizeof(objects)) ||
	    !samba_has_cava(objects)) {
		selftest_step(t, "share", share, SELFTEST_FAILED, "put cava "
			      "into its vfs objects; smbds that run take it "
			      "up with the next connect",
			      "vfs objects is \"%s\": its files are read "
			      "unscanned", objects);
		return;
	}
	selftest_step(t, "share", share, SELFTEST_OK, NULL,
		      "vfs objects = %s", objects);
}

static void samba_check_share(struct selftest *t, const struct samba *s,
			      const char *name)
{
	const char *section = samba_find(s, name);
	char role[32] = "";
	char objects[256] = "";

	if (section == NULL) {
		selftest_step(t, "share", name, SELFTEST_FAILED, "cavad "
			      "--setup-share", "it is not there: antivirus "
			      "servers cannot fetch files");
		return;
	}
	if (!samba_value(section, "cava:role", role, sizeof(role)) ||
	    strcasecmp(role, "check") != 0 ||
	    !samba_value(section, "vfs objects", objects, sizeof(objects)) ||
	    !samba_has_cava(objects)) {
		selftest_step(t, "share", name, SELFTEST_FAILED, "cavad "
			      "--setup-share", "it is not what cavad has "
			      "set up: vfs objects \"%s\", cava:role \"%s\"",
			      objects, role);
		return;
	}
	selftest_step(t, "share", name, SELFTEST_OK, NULL, "hidden, with "
		      "cava:role = check");
}

/* NULL: it cannot be run, which has been said. */
static char *samba_run(struct selftest *t, const char *const *words)
{
	int status = 0;
	char *text = program_output(words, 0, &status);

	if (text != NULL && status == 0) {
		return text;
	}
	free(text);
	selftest_step(t, "samba", words[0], SELFTEST_WARNING, "it comes with "
		      "Samba; run it by hand", "%s", status == 127 ?
		      "not installed: shares are not looked at" :
		      "it fails: shares are not looked at");
	return NULL;
}

void selftest_samba(struct selftest *t)
{
	const char *conf = cavactl_option(t->ctl, "smb-conf");
	const char *const testparm[] = { "testparm", "-s", conf, NULL };
	const char *const plain[] = { "net", "conf", "list", NULL };
	const char *const other[] = { "net", "-s", conf, "conf", "list",
				      NULL };
	const json_t *node = json_array_get(json_object_get(t->status,
							    "nodes"), 0);
	const json_t *zone = NULL;
	const json_t *share = NULL;
	struct samba s = { .text = samba_run(t, testparm) };
	size_t i = 0;
	size_t k = 0;

	s.registry = s.text == NULL ? NULL :
		     samba_run(t, conf == NULL ? plain : other);
	if (s.registry != NULL) {
		json_array_foreach(json_object_get(t->zones, "zones"), i,
				   zone) {
			json_array_foreach(json_object_get(zone, "shares"),
					   k, share) {
				samba_share(t, &s, selftest_string(share,
								   "name"));
			}
		}
		samba_check_share(t, &s, selftest_string(
			json_object_get(node, "status"), "check_share"));
	}
	free(s.text);
	free(s.registry);
}
