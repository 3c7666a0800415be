// What `src/torch/recording.cpp` and `group.cpp` take of libtorch's CUDA half without its headers, by them: that the memory which
// they give its objects is enough, and the names of the functions that they call, which this leaves undefined.

#define USE_C10D_NCCL

#include <ATen/cuda/CUDAGraph.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <new>

using at::cuda::CUDAGraph;
using c10d::ProcessGroupNCCL;

static_assert(sizeof(CUDAGraph) <= 1024 && alignof(CUDAGraph) <= 64);
static_assert(cudaStreamCaptureModeGlobal == 0);

void graph(void *memory) {
    auto *graph = new (memory) CUDAGraph(false);
    graph->capture_begin({0, 0}, cudaStreamCaptureModeGlobal);
    graph->capture_end();
    graph->replay();
    graph->~CUDAGraph();
}

static_assert(sizeof(ProcessGroupNCCL) <= 16384 && alignof(ProcessGroupNCCL) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
static_assert(sizeof(ProcessGroupNCCL::Options) <= 16384 &&
              alignof(ProcessGroupNCCL::Options) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

// Called, and so a name more than those that are expected, unless the compiler sees that what it is for cannot be.
extern "C" void _ZN4c10d16ProcessGroupNCCL_is_not_where_its_base_is();

template <typename Base, typename Object> void check_place(Object *object) {
    if (static_cast<void *>(static_cast<Base *>(object)) != static_cast<void *>(object))
        _ZN4c10d16ProcessGroupNCCL_is_not_where_its_base_is();
}

void group(void *memory, void *place, const c10::intrusive_ptr<c10d::Store> &store) {
    auto *options = new (place) ProcessGroupNCCL::Options(false);
    check_place<c10d::Backend::Options>(options);
    check_place<c10d::Backend>(static_cast<ProcessGroupNCCL *>(memory));
    new (memory) ProcessGroupNCCL(store, 0, 2, c10::intrusive_ptr<ProcessGroupNCCL::Options>::unsafe_steal_from_new(options));
}

// And what `src/torch/cuda.rs` asks the CUDA runtime, as it declares it.
static_assert(cudaDevAttrComputeCapabilityMajor == 75 && sizeof(cudaDeviceAttr) == sizeof(int));
static_assert(cudaSuccess == 0 && sizeof(cudaError_t) == sizeof(int));
cudaError_t (*const get_attribute)(int *, cudaDeviceAttr, int) = cudaDeviceGetAttribute;
