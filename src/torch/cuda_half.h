// libtorch's CUDA half, which the program is not linked to but loads where a driver is: its functions are asked for by their
// names in the library. `tests/parity/cuda_names.cpp` holds the names, and the sizes of what they make, against its headers.

#pragma once

#include <c10/util/Exception.h>

#include <dlfcn.h>

template <typename Function> Function *cuda_function(const char *name) {
    void *found = dlsym(RTLD_DEFAULT, name);
    TORCH_CHECK(found != nullptr, "this libtorch has no function `", name, "`");
    return reinterpret_cast<Function *>(found);
}
