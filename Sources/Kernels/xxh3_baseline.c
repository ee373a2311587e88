#include "xxh3_builds.h"
#define CK_BUILD ck_xxh3_baseline
#include "xxh3_functions.h"
