/*
 * cavad: wiring. Options, configuration, sockets, the files process, then
 * down to an unprivileged user, then the loop.
 *
 * The order is the point: sockets are bound and the files process is forked
 * as root; after rights_drop() nothing here can open a path of a share.
 * The store is opened last, after every fork.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <popt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cavad/allow_gone.h"
#include "cavad/api.h"
#include "cavad/event_delivery.h"
#include "cavad/history.h"
#include "cavad/live.h"
#include "cavad/expiry.h"
#include "cavad/rights.h"
#include "cavad/share.h"
#include "common/log.h"
#include "common/watchdog.h"

#define CAVAD_CONF "/etc/cavad/cavad.conf"
#define CAVAD_FDS 131072	/* descriptors: two for each tree connect */

struct options {
	char *config;
	char *smb_conf;
	int foreground;
	int debug;
	int check_config;
	int setup_share;
	int version;
};

struct cavad {
	struct tevent_context *ev;
	const char *config_path;
	struct config *config;
	struct rights rights;
	int ipc_fd, api_fd, lock_fd;
	struct files *files;
	struct store *store;
	struct events *events;
	struct event_history *history;
	struct event_delivery *delivery;
	struct counters counters;
	struct servers *servers;
	struct threats *threats;
	struct allows *allows;
	struct scans *scans;
	struct allow_gone *allow_gone;
	struct check *check;
	struct ip_pool *ip_pool;
	struct smb_service *smb_service;
	struct zones *zones;	/* before ipc */
	struct jobs *jobs;
	struct reports *reports;
	struct ipc *ipc;
	struct api_tcp *tcp;	/* NULL = none */
	struct live *live;
	struct api *api;
	bool stop;
	int status;
};

static int fail(const char *what, int error)
{
	log_error("%s: %s", what, strerror(error));
	return error;
}

static void cavad_files_ended(void *private_data)
{
	struct cavad *cavad = private_data;

	log_error("the files process has ended; cavad cannot go on without "
		  "it and ends too (systemd starts both again)");
	cavad->stop = true;
	cavad->status = 1;
}

static void cavad_signal(struct tevent_context *ev, struct tevent_signal *se,
			 int signum, int count, void *siginfo,
			 void *private_data)
{
	struct cavad *cavad = private_data;

	(void)ev;
	(void)se;
	(void)count;
	(void)siginfo;
	if (signum == SIGHUP) {
		(void)sd_notify(0, "RELOADING=1");
		live_reload(cavad->live);
		(void)sd_notify(0, "READY=1");
		return;
	}
	log_notice("ending on signal %d", signum);
	cavad->stop = true;
}

static int socket_fail(const char *path, int error)
{
	switch (error) {
	case EADDRINUSE:
		log_error("%s: another cavad is running and serves it", path);
		return error;
	case EEXIST:
		log_error("%s: there is a file that is no socket; remove it "
			  "or name another path", path);
		return error;
	default:
		return fail(path, error);
	}
}

/* One cavad a state directory. As the user that runs it. */
static int cavad_lock(struct cavad *cavad)
{
	char *path = talloc_asprintf(cavad, "%s/lock",
				     cavad->config->settings.state_dir);
	int ret = 0;

	if (path == NULL) {
		return ENOMEM;
	}
	cavad->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			      0600);
	if (cavad->lock_fd == -1) {
		return fail(path, errno);
	}
	ret = flock(cavad->lock_fd, LOCK_EX | LOCK_NB);
	if (ret != 0) {
		log_error("%s is locked: another cavad uses this state_dir",
			  path);
		return EBUSY;
	}
	return 0;
}

/* What only root can do. */
static int cavad_as_root(struct cavad *cavad)
{
	const struct settings *s = &cavad->config->settings;
	struct rlimit fds = { CAVAD_FDS, CAVAD_FDS };
	char *error = NULL;
	int ret = rights_find(cavad, s->user, &cavad->rights, &error);

	if (ret != 0) {
		log_error("%s", error);
		return ret;
	}
	if (setrlimit(RLIMIT_NOFILE, &fds) == -1 &&
	    getrlimit(RLIMIT_NOFILE, &fds) == 0) {
		fds.rlim_cur = fds.rlim_max;	/* what there is, then */
		(void)setrlimit(RLIMIT_NOFILE, &fds);
	}
	ret = rights_directory(s->state_dir, cavad->rights.uid,
			       cavad->rights.gid, 0700);
	if (ret != 0) {
		return fail(s->state_dir, ret);
	}
	ret = rights_directory(s->spool_dir, 0, 0, 0700);
	if (ret != 0) {
		return fail(s->spool_dir, ret);
	}
	ret = rights_socket_directory(s->ipc_socket);
	ret = ret != 0 ? ret : rights_socket_directory(s->api_socket);
	if (ret != 0) {
		return fail("directory of the sockets", ret);
	}
	ret = ipc_listen(s->ipc_socket, &cavad->ipc_fd);
	if (ret != 0) {
		return socket_fail(s->ipc_socket, ret);
	}
	ret = api_listen(s->api_socket, &cavad->api_fd);
	if (ret != 0) {
		return socket_fail(s->api_socket, ret);
	}
	ret = files_start(cavad, s->check_root, s->spool_dir, &cavad->files);
	if (ret != 0) {
		return fail("the files process cannot start (check_root, "
			    "spool_dir)", ret);
	}
	/* behind the fork: that process needs neither sockets nor key */
	ret = api_tcp_open(cavad, s, &cavad->tcp, &error);
	if (ret != 0) {
		log_error("%s", error == NULL ? strerror(ret) : error);
		return ret;
	}
	return 0;
}

/* A file in state_dir and every connection: once for each update. */
static void cavad_signatures(void *private_data, int64_t oldest)
{
	struct cavad *cavad = private_data;
	bool first = cavad->config->signatures == 0;

	cavad->config->signatures = oldest;
	if (config_signature_min(cavad->config, false) == 0) {
		return;
	}
	if (!first) {
		log_notice("there are new signatures: what was scanned by "
			   "older ones is scanned again when it is read");
	}
	(void)zones_changed(cavad->zones);
	ipc_config_changed(cavad->ipc);
}

static const char *cavad_pool(void *private_data, const char *path)
{
	const struct cavad *cavad = private_data;

	return zones_pool(cavad->zones, path);
}

static int cavad_build_api(struct cavad *cavad)
{
	const struct api parts = {
		.ev = cavad->ev,
		.config = cavad->config,
		.files = cavad->files,
		.store = cavad->store,
		.servers = cavad->servers,
		.scans = cavad->scans,
		.check = cavad->check,
		.ipc = cavad->ipc,
		.zones = cavad->zones,
		.events = cavad->events,
		.history = cavad->history,
		.counters = &cavad->counters,
		.jobs = cavad->jobs,
		.minutes = history_create(cavad, cavad->ev,
					  &cavad->counters),
		.tcp = cavad->tcp,
		.live = cavad->live,
		.reports = cavad->reports,
		.threats = cavad->threats,
		.allows = cavad->allows,
	};

	if (parts.minutes == NULL) {
		return ENOMEM;
	}

	return api_create(cavad, &parts, cavad->api_fd, &cavad->api);
}

static const char *cavad_share(void *private_data, const char *path)
{
	const struct cavad *cavad = private_data;

	return zones_share(cavad->zones, path);
}

/* The configuration was read again: so are the files it names. */
static void cavad_reloaded(void *private_data)
{
	struct cavad *cavad = private_data;
	char *error = NULL;
	int ret = api_reload(cavad->api, cavad, &error);

	if (ret != 0) {
		log_error("%s; certificate, key and accounts of the API stay "
			  "as they were%s", error == NULL ? strerror(ret) :
			  error, ret != EACCES ? "" : " (these files must be "
			  "readable by the account that cavad runs as, or "
			  "cavad be restarted)");
	}
	talloc_free(error);
}

static void cavad_attach(struct cavad *cavad)
{
	const struct live_parts parts = {
		.servers = cavad->servers,
		.zones = cavad->zones,
		.ipc = cavad->ipc,
		.scans = cavad->scans,
		.delivery = cavad->delivery,
		.smb_service = cavad->smb_service,
		.reloaded = cavad_reloaded,
		.private_data = cavad,
	};

	live_attach(cavad->live, &parts);
}

static unsigned int cavad_response(void *private_data, const char *path)
{
	const struct cavad *cavad = private_data;

	return zones_response(cavad->zones, path);
}

/* An entry came or went: what open handles were cleared by holds no more. */
static void cavad_allowed(void *private_data, const struct allow *entry,
			  bool there, const char *why)
{
	struct cavad *cavad = private_data;
	char *what = talloc_asprintf(cavad, "allow %llu",
				     (unsigned long long)entry->id);

	cavad->config->allows = allows_any(cavad->allows);
	(void)zones_changed(cavad->zones);
	ipc_config_changed(cavad->ipc);
	if (!there) {
		event_audit(cavad->events, what == NULL ? "" : what, "cavad",
			    "%s: what it let through is scanned again", why);
		allow_gone_look(cavad->allow_gone);
	}
	talloc_free(what);
}

/* What is infected: before the zones, whose filters tell of an allow-list. */
static int cavad_build_threats(struct cavad *cavad)
{
	int ret = threats_create(cavad, cavad->ev, cavad->store,
				 cavad->events, &cavad->threats);

	if (ret == 0) {
		ret = allows_create(cavad, cavad->ev, cavad->store,
				    cavad_allowed, cavad, &cavad->allows);
	}
	if (ret != 0) {
		return ret;
	}
	cavad->config->allows = allows_any(cavad->allows);
	scans_use_threats(cavad->scans, cavad->threats, cavad->allows,
			  cavad_response, cavad);
	cavad->allow_gone = allow_gone_create(cavad, cavad->ev, cavad->scans,
					      cavad->threats, cavad->allows);
	return cavad->allow_gone == NULL ? ENOMEM : 0;
}

static int cavad_build(struct cavad *cavad)
{
	const struct settings *s = &cavad->config->settings;
	struct config *config = cavad->config;
	char *error = NULL;
	int ret = store_open(cavad, cavad->ev, s->state_dir, s->store_size,
			     &cavad->store);

	if (ret != 0) {
		return fail("the database in state_dir", ret);
	}
	files_attach(cavad->files, cavad->ev, cavad_files_ended, cavad);
	cavad->events = events_create(cavad);
	if (cavad->events == NULL) {
		return ENOMEM;
	}
	ret = event_history_create(cavad, cavad->ev, cavad->store,
				   cavad->events, &cavad->history);
	if (ret != 0) {
		return fail("the events in the database", ret);
	}
	ret = live_create(cavad, cavad->ev, cavad->config_path, config,
			  cavad->store, &cavad->live);
	if (ret != 0) {
		return fail("the objects in the database", ret);
	}
	ret = event_delivery_create(cavad, cavad->ev, config, cavad->store,
				    cavad->events, cavad->history,
				    &cavad->counters, &cavad->delivery);
	if (ret != 0) {
		return fail("event_command, event_webhook", ret);
	}
	ret = servers_create(cavad, cavad->ev, config, cavad->events,
			     &cavad->counters, &cavad->servers, &error);
	if (ret != 0) {
		log_error("%s", error);
		return ret;
	}
	cavad->scans = scans_create(cavad, cavad->ev, config, cavad->files,
				    cavad->store, cavad->servers,
				    cavad->events, &cavad->counters);
	if (cavad->scans == NULL) {
		return ENOMEM;
	}
	ret = cavad_build_threats(cavad);
	if (ret == 0) {
		ret = check_create(cavad, cavad->ev, config, cavad->store,
				   cavad->servers, cavad->scans,
				   cavad->events, &cavad->counters,
				   &cavad->check);
	}
	if (ret == 0) {
		ret = ip_pool_create(cavad, cavad->ev, config, cavad->events,
				     &cavad->ip_pool);
	}
	if (ret == 0) {
		ret = smb_service_create(cavad, cavad->ev, config,
					 cavad->ip_pool, cavad->events,
					 &cavad->smb_service);
	}
	if (ret == 0) {
		check_use_ip_pool(cavad->check, cavad->ip_pool);
		scans_on_turn(cavad->scans, ip_pool_turn, cavad->ip_pool);
		ret = zones_create(cavad, cavad->ev, config, cavad->store,
				   &cavad->counters, cavad->events,
				   &cavad->zones);
	}
	if (ret == 0) {
		scans_on_pool(cavad->scans, cavad_pool, cavad);
		scans_on_share(cavad->scans, cavad_share, cavad);
		ret = ipc_create(cavad, cavad->ev, cavad->ipc_fd, config,
				 cavad->files, cavad->scans, cavad->check,
				 cavad->zones, cavad->events,
				 &cavad->counters, &cavad->ipc);
	}
	if (ret == 0) {
		ret = jobs_create(cavad, cavad->ev, config, cavad->files,
				  cavad->store, cavad->servers, cavad->scans,
				  &cavad->jobs);
	}
	if (ret == 0) {
		ret = reports_create(cavad, cavad->ev, config, cavad->store,
				     cavad->servers, cavad->scans,
				     cavad->threats, &cavad->reports);
	}
	if (ret == 0) {
		reports_watch_jobs(cavad->reports, cavad->jobs);
		ret = expiry_create(cavad, cavad->ev, config, cavad->store,
				    cavad->reports, cavad->threats) == NULL ?
		      ENOMEM : 0;
	}
	if (ret == 0) {
		cavad_attach(cavad);
		ret = cavad_build_api(cavad);
	}
	servers_on_signatures(cavad->servers, cavad_signatures, cavad);
	return ret == 0 ? 0 : fail("start", ret);
}

static int cavad_signals(struct cavad *cavad)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	size_t i = 0;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct tevent_signal *se = tevent_add_signal(
			cavad->ev, cavad, signals[i], 0, cavad_signal, cavad);

		if (se == NULL) {
			return ENOMEM;
		}
	}
	return 0;
}

static int cavad_run(struct cavad *cavad)
{
	int ret = cavad_as_root(cavad);

	if (ret != 0) {
		return 1;
	}
	ret = rights_drop(&cavad->rights);
	if (ret != 0) {
		fail("rights cannot be dropped", ret);
		return 1;
	}
	ret = cavad_lock(cavad);
	cavad->ev = tevent_context_init(cavad);
	if (ret != 0 || cavad->ev == NULL) {
		return 1;
	}
	ret = cavad_build(cavad);
	ret = ret != 0 ? ret : cavad_signals(cavad);
	ret = ret != 0 ? ret : watchdog_start(cavad, cavad->ev);
	if (ret != 0) {
		return 1;
	}
	(void)sd_notify(0, "READY=1");
	log_notice("cavad %s ready", CAVA_VERSION);
	while (!cavad->stop) {
		ret = tevent_loop_once(cavad->ev);
		if (ret != 0) {
			fail("event loop", errno);
			return 1;
		}
	}
	(void)sd_notify(0, "STOPPING=1");
	reports_stop(cavad->reports);
	jobs_stop(cavad->jobs);
	store_flush(cavad->store);
	return cavad->status;
}

/* 0, or the exit status + 1. */
static int parse(int argc, const char **argv, struct options *o)
{
	struct poptOption table[] = {
		{ "config", 'c', POPT_ARG_STRING, &o->config, 0,
		  "read FILE instead of " CAVAD_CONF, "FILE" },
		{ "foreground", 'f', POPT_ARG_NONE, &o->foreground, 0,
		  "log to stderr instead of the journal", NULL },
		{ "debug", 'd', POPT_ARG_NONE, &o->debug, 0,
		  "log more", NULL },
		{ "check-config", 0, POPT_ARG_NONE, &o->check_config, 0,
		  "read the configuration, say what is wrong, and end",
		  NULL },
		{ "setup-share", 0, POPT_ARG_NONE, &o->setup_share, 0,
		  "write the check share to Samba's registry configuration, "
		  "and end", NULL },
		{ "smb-conf", 0, POPT_ARG_STRING, &o->smb_conf, 0,
		  "with --setup-share: another smb.conf", "FILE" },
		{ "version", 'V', POPT_ARG_NONE, &o->version, 0,
		  "say the version, and end", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	poptContext pc = poptGetContext("cavad", argc, argv, table, 0);
	int ret = poptGetNextOpt(pc);
	const char *extra = poptPeekArg(pc);

	if (ret < -1) {
		fprintf(stderr, "cavad: %s: %s\n",
			poptBadOption(pc, POPT_BADOPTION_NOALIAS),
			poptStrerror(ret));
	} else if (extra != NULL) {
		fprintf(stderr, "cavad: %s: no argument is expected; "
			"see cavad --help\n", extra);
		ret = -2;
	}
	poptFreeContext(pc);
	return ret < -1 ? 3 : 0;
}

static int cavad_check_config(struct cavad *cavad, const char *path)
{
	struct config_refusal refusal = { .text = NULL };
	struct api_tcp_files *files = NULL;
	int ret = live_check(cavad, cavad->config, &refusal);

	if (ret == 0) {
		ret = api_tcp_read(cavad, &cavad->config->settings, &files,
				   &refusal.text);
	}
	if (ret != 0) {
		fprintf(stderr, "cavad: %s: %s\n", path,
			refusal.text == NULL ? strerror(ret) : refusal.text);
		return 1;
	}
	printf("%s: OK\n", path);
	return 0;
}

static int cavad_main(struct cavad *cavad, const struct options *o)
{
	const char *path = o->config == NULL ? CAVAD_CONF : o->config;
	char *error = NULL;
	int ret = config_load(cavad, path, &cavad->config, &error);

	cavad->config_path = path;
	if (ret != 0) {
		fprintf(stderr, "cavad: %s\n", error);
		return 1;
	}
	if (o->check_config) {
		return cavad_check_config(cavad, path);
	}
	if (geteuid() != 0) {
		fprintf(stderr, "cavad: must be started as root; it becomes "
			"%s by itself\n", cavad->config->settings.user);
		return 1;
	}
	if (o->setup_share) {
		ret = share_setup(cavad, cavad->config, o->smb_conf, &error);
		if (ret != 0) {
			fprintf(stderr, "cavad: %s\n", error);
		}
		return ret == 0 ? 0 : 1;
	}
	log_init("cavad", o->foreground != 0,
		 o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	return cavad_run(cavad);
}

int main(int argc, const char **argv)
{
	struct options o = { .config = NULL };
	struct cavad *cavad = NULL;
	int ret = parse(argc, argv, &o);

	if (ret != 0) {
		ret--;
	} else if (o.version) {
		printf("cavad %s\n", CAVA_VERSION);
	} else {
		cavad = talloc_zero(NULL, struct cavad);
		ret = cavad == NULL ? 1 : cavad_main(cavad, &o);
		talloc_free(cavad);
	}
	free(o.config);
	free(o.smb_conf);
	return ret;
}
