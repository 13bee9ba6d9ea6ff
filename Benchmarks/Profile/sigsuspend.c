// Valgrind 3.19 writes into the mask that sigsuspend is given, and dies where that is constant, as libdispatch's is:
// preloaded, this gives it a copy.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>

int sigsuspend(const sigset_t *mask) {
    sigset_t copy = *mask;
    int (*original)(const sigset_t *) = (int (*)(const sigset_t *))dlsym(RTLD_NEXT, "sigsuspend");
    return original(&copy);
}
