#include "swiftlet_runtime.h"
