// What `src/torch/recording.cpp` takes of libtorch's CUDA half without its headers, by them: that memory of 1024 bytes holds a
// CUDA graph, and the names of the functions that it calls, which this leaves undefined.

#include <ATen/cuda/CUDAGraph.h>

#include <new>

using at::cuda::CUDAGraph;

static_assert(sizeof(CUDAGraph) <= 1024 && alignof(CUDAGraph) <= 64);
static_assert(cudaStreamCaptureModeGlobal == 0);

void call(void *memory) {
    auto *graph = new (memory) CUDAGraph(false);
    graph->capture_begin({0, 0}, cudaStreamCaptureModeGlobal);
    graph->capture_end();
    graph->replay();
    graph->~CUDAGraph();
}
