/*
 * What the files of the store share: its tables.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_STORE_PRIVATE_H
#define CAVAD_STORE_PRIVATE_H

#include "cavad/store.h"
#include "cavad/store_db.h"
#include "cavad/store_writer.h"

enum store_table {
	STORE_META, STORE_PENDING, STORE_RESULT, STORE_AVVENDOR, STORE_ZONE,
	STORE_RUN, STORE_EVENT, STORE_OBJECT, STORE_REPORT,
	STORE_REPORT_INDEX, STORE_THREAT, STORE_THREAT_FILE,
	STORE_THREAT_SCAN, STORE_ALLOW
};

struct store {
	struct db *db;
	struct store_writer *writer;
};

#endif
