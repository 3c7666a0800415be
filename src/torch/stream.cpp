// In which order a GPU does what threads ask of it. An error comes back as a malloc'ed message that Rust frees with
// `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdint>
#include <map>

namespace {

constexpr auto CUDA = c10::DeviceType::CUDA;

// The stream by which this thread copies to a GPU.
const c10::Stream &copies(c10::Device device) {
    thread_local std::map<c10::DeviceIndex, c10::Stream> streams;
    const auto found = streams.find(device.index());
    if (found != streams.end()) return found->second;
    const auto stream = c10::impl::VirtualGuardImpl(CUDA).getStreamFromGlobalPool(device);
    return streams.emplace(device.index(), stream).first->second;
}

} // namespace

extern "C" {

// Makes this thread ask a GPU for its work by a stream of its own, from here on: the stream that all begin with cannot be
// recorded. What was asked for before is done first.
char *translate_cuda_own_stream(int8_t index) {
    return guarded([&] {
        const c10::impl::VirtualGuardImpl cuda(CUDA);
        // Streams and events are of the device that is current, which is the first one until somebody says otherwise.
        cuda.setDevice(c10::Device(CUDA, index));
        cuda.synchronizeDevice(index);
        cuda.exchangeStream(cuda.getStreamFromGlobalPool(c10::Device(CUDA, index)));
    });
}

// Copies a tensor to a GPU while that goes on with what it was asked for before: by pinned memory, which it reads by itself,
// and by a stream of its own, for which only what is asked for from here on waits.
char *translate_cuda_upload(at::Tensor **out, at::Tensor *tensor, int8_t index) {
    return guarded([&] {
        const c10::impl::VirtualGuardImpl cuda(CUDA);
        const c10::Device device(CUDA, index);
        const c10::DeviceGuard on(device);
        const c10::Stream compute = cuda.getStream(device);
        const at::Tensor pinned = tensor->pin_memory();
        c10::Event arrived(CUDA);
        at::Tensor there;
        {
            const c10::StreamGuard guard(copies(device));
            there = pinned.to(device, /*non_blocking=*/true);
            arrived.record(copies(device));
        }
        arrived.block(compute);
        // So that its memory is not given to a later copy before this stream is done with it.
        cuda.recordDataPtrOnStream(there.storage().data_ptr(), compute);
        *out = new at::Tensor(there);
    });
}

} // extern "C"
