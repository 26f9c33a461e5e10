/*
 * CHECK$: see share.h.
 *
 * The definition is static; who may enter and read what is asked at run
 * time by the module in role check. It goes to the registry configuration,
 * since that is one write for all nodes of a cluster and leaves smb.conf to
 * its administrator. Samba's own `net` and `testparm` are the interface
 * (libsmbconf has no public headers), run without a shell.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARE_OUTPUT_MAX 65536	/* bytes that are read of a command */
#define SHARE_WORDS_MAX 12

/*
 * Each row a parameter of the share. Nothing that clients' opens have to
 * do with may exist here: no oplocks, leases, durable handles, locks; file
 * ids are set apart by the module. Nor may a line of [global] hide files
 * from a scanner, or decide who is one.
 */
static const struct {
	const char *name;
	const char *value;	/* NULL: of the settings, share_value() */
} share_rows[] = {
	{ "path", NULL },
	{ "comment", "Antivirus servers read files to scan here" },
	{ "browseable", "no" },
	{ "read only", NULL },
	{ "guest ok", "no" },
	{ "vfs objects", "cava" },
	{ "cava:role", "check" },
	{ "cava:socket", NULL },
	{ "cava:spool", NULL },
	{ "oplocks", "no" },
	{ "level2 oplocks", "no" },
	{ "kernel oplocks", "no" },
	{ "durable handles", "no" },
	{ "posix locking", "no" },
	{ "strict locking", "no" },
	{ "locking", "no" },
	{ "store dos attributes", "no" },
	{ "map archive", "no" },
	{ "ea support", "no" },
	{ "follow symlinks", "no" },
	{ "wide links", "no" },
	{ "case sensitive", "yes" },
	{ "mangled names", "no" },
	{ "hide dot files", "no" },
	{ "hide unreadable", "no" },
	{ "veto files", "" },
	{ "map readonly", "no" },
	{ "csc policy", "disable" },
	{ "valid users", "" },
	{ "admin users", "" },
	{ "force user", "" },
	{ "server smb encrypt", "default" },
};

static const char *share_value(const struct config *c, size_t row)
{
	const char *name = share_rows[row].name;

	if (share_rows[row].value != NULL) {
		return share_rows[row].value;
	}
	if (strcmp(name, "path") == 0) {
		return c->settings.check_root;
	}
	if (strcmp(name, "read only") == 0) {
		return c->settings.allow_clean ? "no" : "yes";
	}
	if (strcmp(name, "cava:socket") == 0) {
		return c->settings.ipc_socket;
	}
	return c->settings.spool_dir;
}

/* In the child: stdin is nothing, stdout and stderr go to fd. */
static void share_exec(const char *const *words, int fd)
{
	if (freopen("/dev/null", "r", stdin) == NULL ||
	    dup2(fd, STDOUT_FILENO) == -1 || dup2(fd, STDERR_FILENO) == -1) {
		_exit(126);
	}
	execvp(words[0], (char *const *)words);
	_exit(127);
}

/* 0: exited with 0; ENOEXEC: cannot be run; EIO: any other end. */
static int share_run(TALLOC_CTX *mem_ctx, const char *const *words,
		     char **output)
{
	char *text = talloc_zero_size(mem_ctx, SHARE_OUTPUT_MAX);
	size_t len = 0;
	int fds[2];
	int status = 0;
	pid_t pid = -1;

	if (text == NULL || pipe(fds) != 0) {
		return ENOMEM;
	}
	pid = fork();
	if (pid == -1) {
		close(fds[0]);
		close(fds[1]);
		return errno;
	}
	if (pid == 0) {
		close(fds[0]);
		share_exec(words, fds[1]);
	}
	close(fds[1]);
	for (;;) {
		char rest[512];
		bool full = len >= SHARE_OUTPUT_MAX - 1;
		ssize_t n = read(fds[0], full ? rest : text + len,
				 full ? sizeof(rest) :
				 SHARE_OUTPUT_MAX - 1 - len);

		if (n <= 0) {
			break;
		}
		len += full ? 0 : (size_t)n;
	}
	close(fds[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
	}
	*output = text;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		return 0;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ?
		ENOEXEC : EIO;
}

/* PROGRAM [-s smb_conf] WORDS..., NULL at the end. */
static int share_samba(TALLOC_CTX *mem_ctx, const char *program,
		       const char *smb_conf, const char *const *more,
		       char **output)
{
	const char *words[SHARE_WORDS_MAX] = { program };
	size_t n = 1;

	if (smb_conf != NULL && strcmp(program, "net") == 0) {
		words[n++] = "-s";
		words[n++] = smb_conf;
	}
	while (*more != NULL && n < SHARE_WORDS_MAX - 2) {
		words[n++] = *more++;
	}
	if (smb_conf != NULL && strcmp(program, "testparm") == 0) {
		words[n++] = smb_conf;
	}
	return share_run(mem_ctx, words, output);
}

/* Is this line `[name]`? */
static bool share_heads(const char *line, const char *name)
{
	size_t len = strlen(name);

	line += strspn(line, " \t");
	return line[0] == '[' && strncasecmp(line + 1, name, len) == 0 &&
		line[len + 1] == ']';
}

/* Is `[name]` a section of what testparm says? */
static bool share_in_text(const char *text, const char *name)
{
	const char *p = text;

	while (p != NULL) {
		p += *p == '\n';
		if (share_heads(p, name)) {
			return true;
		}
		p = strchr(p, '\n');
	}
	return false;
}

/* Is it one of the file that testparm has loaded? */
static bool share_in_file(const char *text, const char *name)
{
	static const char loaded[] = "Load smb config files from ";
	const char *start = strstr(text, loaded);
	char *path = NULL;
	char *line = NULL;
	size_t size = 0;
	bool found = false;
	FILE *file = NULL;

	if (start == NULL) {
		return true;
	}
	start += sizeof(loaded) - 1;
	path = talloc_strndup(NULL, start, strcspn(start, "\n"));
	file = path == NULL ? NULL : fopen(path, "re");
	talloc_free(path);
	if (file == NULL) {
		return true;
	}
	while (!found && getline(&line, &size, file) != -1) {
		found = share_heads(line, name);
	}
	free(line);
	fclose(file);
	return found;
}

/* testparm's answer is its last line; before it are warnings. */
static bool share_says_yes(char *output)
{
	const char *last = NULL;
	size_t len = strlen(output);

	while (len > 0 && output[len - 1] == '\n') {
		output[--len] = '\0';
	}
	last = strrchr(output, '\n');
	return strcasecmp(last == NULL ? output : last + 1, "yes") == 0;
}

static int share_prerequisites(TALLOC_CTX *mem_ctx,
			       const struct config *c, const char *smb_conf,
			       char **error)
{
	const char *const registry[] = {
		"-s", "--parameter-name=registry shares", NULL };
	const char *file = smb_conf == NULL ? "smb.conf" : smb_conf;
	char *output = NULL;
	struct stat st;
	int ret = stat(c->settings.check_root, &st);

	if (ret != 0 || !S_ISDIR(st.st_mode)) {
		*error = talloc_asprintf(
			mem_ctx, "[settings] check_root = %s: not a "
			"directory", c->settings.check_root);
		return ENOTDIR;
	}
	ret = share_samba(mem_ctx, "testparm", smb_conf, registry, &output);
	if (ret != 0) {
		*error = talloc_asprintf(
			mem_ctx, "testparm cannot read %s: %s", file,
			output == NULL ? strerror(ret) : output);
		return ret;
	}
	if (!share_says_yes(output)) {
		*error = talloc_asprintf(
			mem_ctx, "%s needs `registry shares = yes` in "
			"[global]: the share %s is kept in the registry "
			"configuration", file, c->settings.check_share);
		return EINVAL;
	}
	return 0;
}

static int share_not_in_text(TALLOC_CTX *mem_ctx, const struct config *c,
			     const char *smb_conf, bool in_registry,
			     char **error)
{
	const char *const all[] = { "-s", NULL };
	const char *share = c->settings.check_share;
	char *output = NULL;
	int ret = 0;

	ret = share_samba(mem_ctx, "testparm", smb_conf, all, &output);
	if (ret != 0 || !share_in_text(output, share)) {
		return 0;
	}
	/* with `include = registry` testparm shows that as well */
	if (!in_registry || share_in_file(output, share)) {
		*error = talloc_asprintf(
			mem_ctx, "%s has a section [%s]: remove it, "
			"`cavad --setup-share` keeps that share in the "
			"registry configuration",
			smb_conf == NULL ? "smb.conf" : smb_conf, share);
		return EEXIST;
	}
	return 0;
}

/* The value in the lines "\tname = value" of `net conf showshare`. */
static bool share_has(const char *shown, const char *name, const char *value)
{
	const char *p = shown;
	size_t len = strlen(name);
	size_t value_len = strlen(value);

	for (p = shown; p != NULL; p = strchr(p, '\n')) {
		p += strspn(p, "\n\t ");
		if (strncasecmp(p, name, len) != 0 ||
		    strncmp(p + len, " = ", 3) != 0) {
			continue;
		}
		p += len + 3;
		return strncmp(p, value, value_len) == 0 &&
			(p[value_len] == '\n' || p[value_len] == '\0');
	}
	return false;
}

static int share_write(TALLOC_CTX *mem_ctx, const struct config *c,
		       const char *smb_conf, const char *shown,
		       unsigned int *changed, char **error)
{
	const char *share = c->settings.check_share;
	size_t i = 0;

	for (i = 0; i < sizeof(share_rows) / sizeof(share_rows[0]); i++) {
		const char *value = share_value(c, i);
		const char *const set[] = { "conf", "setparm", share,
					    share_rows[i].name, value, NULL };
		char *output = NULL;
		int ret = 0;

		if (share_has(shown, share_rows[i].name, value)) {
			continue;
		}
		ret = share_samba(mem_ctx, "net", smb_conf, set, &output);
		if (ret != 0) {
			*error = talloc_asprintf(
				mem_ctx, "net conf setparm %s \"%s\" failed: "
				"%s", share, share_rows[i].name,
				output == NULL ? strerror(ret) : output);
			return ret;
		}
		printf("%s: %s = %s\n", share, share_rows[i].name, value);
		(*changed)++;
	}
	return 0;
}

int share_setup(TALLOC_CTX *mem_ctx, const struct config *config,
		const char *smb_conf, char **error)
{
	const char *share = config->settings.check_share;
	const char *const show[] = { "conf", "showshare", share, NULL };
	char *shown = NULL;
	unsigned int changed = 0;
	bool in_registry = false;
	int ret = share_prerequisites(mem_ctx, config, smb_conf, error);

	/* `net` without an smb.conf it can read would take another registry */
	if (ret != 0) {
		return ret;
	}
	ret = share_samba(mem_ctx, "net", smb_conf, show, &shown);
	if (ret == ENOEXEC || ret == ENOMEM || shown == NULL) {
		*error = talloc_strdup(mem_ctx, "`net` cannot be run: "
				       "install samba-common-bin");
		return ret;
	}
	in_registry = ret == 0;
	ret = share_not_in_text(mem_ctx, config, smb_conf, in_registry,
				error);
	if (ret != 0) {
		return ret;
	}
	ret = share_write(mem_ctx, config, smb_conf,
			  in_registry ? shown : "", &changed, error);
	if (ret == 0) {
		printf("%s: %s\n", share, changed == 0 ? "already so" :
		       "written; smbd takes it up by itself");
	}
	return ret;
}
