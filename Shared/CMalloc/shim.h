#pragma once
// Giving freed memory back to the system, which the Swift overlay of the C library leaves out.
#include <malloc.h>
