/*
 * cavactl selftest, test files: EICAR through each zone and each server, and
 * over SMB. They are root's, in the root of a share, and removed whatever
 * happens, also on ^C. cavad knows that they are a self-test's: they are
 * in no list of threats.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cavactl/program.h"
#include "cavactl/selftest.h"

#define TEST_FILES 2
#define TEST_CLEAN "Nothing is wrong with this file of cavactl selftest.\n"

/* What is there right now; a signal removes it. */
static struct test_file {
	volatile sig_atomic_t there;
	int dir;
	char name[64];
	char path[4096];
} test_files[TEST_FILES];

/* In halves, so that no scanner takes cavactl for it. */
static void test_eicar(char text[70])
{
	snprintf(text, 70, "%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STA",
		 "NDARD-ANTIVIRUS-TEST-FILE!$H+H*");
}

static void test_file_remove(struct test_file *f)
{
	if (f->there) {
		(void)unlinkat(f->dir, f->name, 0);
		f->there = 0;
		close(f->dir);
	}
}

static void test_signal(int number)
{
	size_t i = 0;

	for (i = 0; i < TEST_FILES; i++) {
		if (test_files[i].there) {
			(void)unlinkat(test_files[i].dir, test_files[i].name,
				       0);
		}
	}
	_exit(128 + number);
}

static void test_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	struct sigaction act = { .sa_handler = test_signal };
	size_t i = 0;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &act, NULL);
	}
}

/* The directory may be anybody's: nothing that is there is touched. 0 or -1. */
static int test_file_fill(struct test_file *f, const char *text)
{
	int fd = openat(f->dir, f->name, O_WRONLY | O_CREAT | O_EXCL |
			O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t len = (ssize_t)strlen(text);
	int ret = 0;

	if (fd == -1) {
		return -1;
	}
	f->there = 1;
	if (write(fd, text, (size_t)len) != len || fchmod(fd, 0644) != 0) {
		ret = -1;
	}
	close(fd);
	return ret;
}

/* Test file i in that directory; 0, or -1 and errno. */
static int test_file_make(unsigned int i, const char *dir, const char *text)
{
	static unsigned int serial;
	struct test_file *f = &test_files[i];
	char name[sizeof(f->name)] = "";
	int error = 0;

	f->dir = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (f->dir == -1) {
		return -1;
	}
	snprintf(name, sizeof(name), ".cavactl-selftest-%d-%u",
		 (int)getpid(), serial++);
	memcpy(f->name, name, sizeof(f->name));
	snprintf(f->path, sizeof(f->path), "%s/%s",
		 strcmp(dir, "/") == 0 ? "" : dir, name);
	if (test_file_fill(f, text) == 0) {
		return 0;
	}
	error = errno;
	if (f->there) {
		test_file_remove(f);
	} else {
		close(f->dir);
	}
	errno = error;
	return -1;
}

/* Asks for a scan; server "" = any. *reply is NULL when there was none. */
static void test_scan(struct selftest *t, const struct test_file *f,
		      const char *server, json_t **reply)
{
	json_t *body = json_pack("{s:s, s:b, s:b}", "file", f->path,
				 "selftest", 1,
				 "ignore_previous_scan_status", 1);

	*reply = NULL;
	if (body == NULL) {
		return;
	}
	if (server[0] != '\0') {
		json_object_set_new(body, "server", json_string(server));
	}
	(void)cavactl_call(t->ctl, "POST", "/platform/11/antivirus/scan",
			   body, reply);
	json_decref(body);
}

/* Of the EICAR: `infected`, and by that server. */
static void test_judge(struct selftest *t, const char *step,
		       const char *about, const char *server,
		       const json_t *reply)
{
	const char *result = selftest_string(reply, "result");
	const char *reason = selftest_string(reply, "reason");
	const char *by = selftest_string(reply, "server");
	bool right = server[0] == '\0' || strcmp(server, by) == 0;

	if (strcmp(result, "infected") == 0 && right) {
		selftest_step(t, step, about, SELFTEST_OK, NULL, "the test "
			      "file is found infected (%s) by %s",
			      selftest_string(reply, "threat"), by);
		return;
	}
	if (strcmp(result, "clean") == 0) {
		selftest_step(t, step, about, SELFTEST_FAILED, "look at the "
			      "signatures of its antivirus", "%s says that "
			      "the test file of EICAR is clean", by);
		return;
	}
	selftest_step(t, step, about, SELFTEST_FAILED, "cavactl server probe "
		      "NAME, and the log of cavad", "no verdict on the test "
		      "file: %s%s%s", reply == NULL ? "cavad refused" : result,
		      reason[0] != '\0' ? ": " : "", reason);
}

/* One test file in that directory, asked about and removed. */
static void test_one(struct selftest *t, const char *step, const char *about,
		     const char *dir, const char *server)
{
	json_t *reply = NULL;
	char eicar[70] = "";

	test_eicar(eicar);
	if (test_file_make(0, dir, eicar) != 0) {
		selftest_step(t, step, about, SELFTEST_WARNING, "where root "
			      "cannot write, test it by hand", "no test file "
			      "can be made in %s: %s", dir, strerror(errno));
		return;
	}
	test_scan(t, &test_files[0], server, &reply);
	test_file_remove(&test_files[0]);
	test_judge(t, step, about, server, reply);
	json_decref(reply);
}

/* Over SMB. */

/* The output of smbclient's get of it; NULL has been said. */
static char *test_get(struct selftest *t, const char *share,
		      const struct test_file *f, int *status)
{
	const char *host = cavactl_option(t->ctl, "host");
	const char *user = cavactl_option(t->ctl, "user");
	char unc[512] = "";
	char command[128] = "";
	const char *const words[] = {
		"smbclient", unc, "-U", user, "-c", command, NULL };
	char *text = NULL;

	snprintf(unc, sizeof(unc), "//%s/%s",
		 host == NULL ? "localhost" : host, share);
	snprintf(command, sizeof(command), "get %s /dev/null", f->name);
	text = program_output(words, 1, status);
	if (text == NULL || *status == 127) {
		selftest_step(t, "smb", share, SELFTEST_FAILED, "apt install "
			      "smbclient", "smbclient cannot be run");
		free(text);
		return NULL;
	}
	return text;
}

/* The last line that has a status in it, for people. */
static const char *test_status(const char *text)
{
	const char *status = strstr(text, "NT_STATUS_");

	return status == NULL ? "no error" : status;
}

static bool test_denied(const char *text)
{
	return strstr(text, "NT_STATUS_VIRUS_INFECTED") != NULL ||
	       strstr(text, "NT_STATUS_ACCESS_DENIED") != NULL;
}

/* The clean one first: without it a denial would prove nothing. */
static void test_smb_read(struct selftest *t, const char *share)
{
	const char *user = cavactl_option(t->ctl, "user");
	int status = 0;
	char *text = test_get(t, share, &test_files[1], &status);

	if (text == NULL) {
		return;
	}
	if (status != 0) {
		selftest_step(t, "smb", share, SELFTEST_FAILED, "is it the "
			      "right account, password, --host? may it read "
			      "there? cavactl explain says more of a file",
			      "%s cannot read a clean file: %.*s", user,
			      (int)strcspn(test_status(text), "\n"),
			      test_status(text));
		free(text);
		return;
	}
	free(text);
	text = test_get(t, share, &test_files[0], &status);
	if (text == NULL) {
		return;
	}
	if (status != 0 && test_denied(text)) {
		selftest_step(t, "smb", share, SELFTEST_OK, NULL, "%s reads a "
			      "clean file, and is denied the infected one "
			      "(%.*s)", user,
			      (int)strcspn(test_status(text), " \n"),
			      test_status(text));
	} else {
		selftest_step(t, "smb", share, SELFTEST_FAILED, "is cava in "
			      "its vfs objects? cavad(8), and smbd's log",
			      "%s %s the infected file (%.*s)", user,
			      status == 0 ? "can read" : "is not properly "
			      "denied", (int)strcspn(test_status(text), "\n"),
			      test_status(text));
	}
	free(text);
}

static void test_smb(struct selftest *t, const char *share, const char *dir)
{
	json_t *reply = NULL;
	char eicar[70] = "";

	test_eicar(eicar);
	if (test_file_make(0, dir, eicar) != 0) {
		return;		/* said by the zone's step */
	}
	if (test_file_make(1, dir, TEST_CLEAN) == 0) {
		test_scan(t, &test_files[0], "", &reply);
		test_smb_read(t, share);
		test_file_remove(&test_files[1]);
		json_decref(reply);
	}
	test_file_remove(&test_files[0]);
}

static bool test_user(struct selftest *t)
{
	const char *file = cavactl_option(t->ctl, "password-file");

	if (cavactl_option(t->ctl, "user") == NULL) {
		return false;
	}
	if (file == NULL || access(file, R_OK) != 0) {
		selftest_step(t, "smb", "", SELFTEST_FAILED, "--password-file "
			      "FILE", "the password file %s: %s",
			      file == NULL ? "is missing" : file,
			      file == NULL ? "with --user there has to be one" :
			      strerror(errno));
		return false;
	}
	setenv("PASSWD_FILE", file, 1);
	return true;
}

/* Each zone, each share of it by SMB. */

static void test_zone(struct selftest *t, const json_t *zone, bool smb)
{
	const json_t *share = NULL;
	const char *root = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(zone, "shares"), i, share) {
		root = selftest_string(share, "root");
		if (i == 0) {
			test_one(t, "zone", selftest_string(zone,
							    "zone_name"),
				 root, "");
		}
		if (smb && json_is_true(json_object_get(zone,
							"filter_enabled"))) {
			test_smb(t, selftest_string(share, "name"), root);
		}
	}
}

/* Where test files of servers can be: a share's root. */
static const char *test_directory(const struct selftest *t)
{
	const json_t *zone = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(t->zones, "zones"), i, zone) {
		const json_t *share = json_array_get(
			json_object_get(zone, "shares"), 0);

		if (share != NULL) {
			return selftest_string(share, "root");
		}
	}
	return selftest_string(json_object_get(json_array_get(
		json_object_get(t->status, "nodes"), 0), "status"),
		"check_root");
}

static void test_servers(struct selftest *t)
{
	const json_t *node = json_array_get(json_object_get(t->status,
							    "nodes"), 0);
	const json_t *list = json_object_get(json_object_get(
		node, "status"), "server_status");
	const json_t *server = NULL;
	size_t i = 0;

	json_array_foreach(list, i, server) {
		const char *name = selftest_string(server, "server_name");
		const char *state = selftest_string(server, "server_state");

		if (strcmp(state, "disabled") == 0 ||
		    strcmp(state, "standby") == 0) {
			selftest_step(t, "server", name, SELFTEST_OK, NULL,
				      "%s, no test file goes there", state);
			continue;
		}
		test_one(t, "server", name, test_directory(t), name);
	}
}

void selftest_files(struct selftest *t)
{
	const json_t *zone = NULL;
	bool smb = test_user(t);
	size_t i = 0;

	test_signals();
	test_servers(t);
	json_array_foreach(json_object_get(t->zones, "zones"), i, zone) {
		test_zone(t, zone, smb);
	}
}
