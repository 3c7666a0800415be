// How both C++ files keep exceptions on their side: an error comes back as a malloc'ed message, for `translate_free`.

#pragma once

#include <cstring>
#include <exception>

template <typename F> char *guarded(F body) {
    try {
        body();
        return nullptr;
    } catch (const std::exception &e) {
        return strdup(e.what());
    } catch (...) {
        return strdup("unknown C++ exception");
    }
}
