// Processes that train together: libtorch's own `c10d`. They meet at a store (TCP), and exchange tensors by Gloo, and those
// of a GPU by NCCL. Tensors cross as tch's own `at::Tensor *`; an error comes back as a malloc'ed message that Rust frees with `translate_free`, and
// no exception crosses the boundary.

#define USE_C10D_GLOO

#include "cuda_half.h"
#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

namespace {

// Takes the bytes of a result.
using Sink = void (*)(void *context, const char *bytes, size_t count);

// Bytes of a bucket: small enough that the first is under way while the next is filled, large enough that a message's fixed
// cost does not count.
constexpr int64_t BUCKET = 32 << 20;

using Store = c10::intrusive_ptr<c10d::Store>;
using Backend = c10::intrusive_ptr<c10d::Backend>;

// Begins an exchange. libtorch's flight recorder notes each beginning in a map that several groups of one process share
// without a lock.
template <typename F> c10::intrusive_ptr<c10d::Work> begun(F begin) {
    static std::mutex mutex;
    const std::lock_guard<std::mutex> lock(mutex);
    return begin();
}

struct Group {
    Store store;
    Backend gloo;
    // None where all tensors are on the CPU, see `translate_group_use_nccl`.
    Backend nccl;
    // Whether an exchange has failed.
    bool is_broken = false;

    const Backend &of(const at::Tensor &tensor) const { return nccl.defined() && tensor.is_cuda() ? nccl : gloo; }

    // Does `work`. Between GPUs of one machine NCCL waits for a process that is gone until its time is up, so Gloo, which sees
    // its connection end, asks first whether all are there.
    template <typename Work> char *exchange(Work work) {
        char *failure = guarded([&] {
            c10::AutoGradMode no_grad(false);
            if (nccl.defined()) {
                std::vector<at::Tensor> nothing{at::zeros({1})};
                begun([&] { return gloo->allreduce(nothing); })->wait();
            }
            work();
        });
        is_broken = is_broken || failure != nullptr;
        return failure;
    }

    // An abort for a group whose exchange has failed: what NCCL still waits for would never come.
    ~Group() {
        if (!nccl.defined()) return;
        // First, so that the others see this process go: NCCL's end may wait for them.
        gloo.reset();
        free(guarded([&] {
            if (is_broken) nccl->abort();
            else nccl->shutdown();
        }));
    }
};

// An object of libtorch's CUDA half, in memory that is larger than one; `construct` is told where.
template <typename Base, typename Construct> c10::intrusive_ptr<Base> constructed(Construct construct) {
    constexpr size_t ENOUGH = 16384;
    void *memory = ::operator new(ENOUGH);
    try {
        construct(memory);
    } catch (...) {
        ::operator delete(memory);
        throw;
    }
    return c10::intrusive_ptr<Base>::unsafe_steal_from_new(static_cast<Base *>(memory));
}

// How long an exchange of NCCL's may take: all ranks have come to it.
constexpr std::chrono::minutes MOST_OF_NCCL(5);

// libtorch's `c10d::ProcessGroupNCCL`. Each exchange is waited for, so that a rank that is gone is an error here, instead of a
// GPU that waits for ever.
Backend nccl(const Store &store, int rank, int ranks, std::chrono::milliseconds timeout) {
    setenv("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/0);
    // Nor shall a thread of libtorch's end the process while that error is dealt with.
    setenv("TORCH_NCCL_ENABLE_MONITORING", "0", /*overwrite=*/0);
    setenv("TORCH_NCCL_DUMP_ON_TIMEOUT", "0", /*overwrite=*/0);
    using Options = c10d::Backend::Options;
    const auto options = constructed<Options>([](void *memory) {
        cuda_function<void(void *, bool)>("_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb")(memory, /*high_priority=*/false);
    });
    options->timeout = timeout;
    return constructed<c10d::Backend>([&](void *memory) {
        cuda_function<void(void *, Store, int, int, c10::intrusive_ptr<Options>)>(
            "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_typeIS3_EEEEiiNS2_INS0_7OptionsENS5_IS8_EEEE")(memory, store, rank, ranks, options);
    });
}

// Tensors of one kind laid end to end, on their way.
struct Bucket {
    std::vector<at::Tensor> tensors;
    at::Tensor flat;
    c10::intrusive_ptr<c10d::Work> work;
};

Bucket sent(const Group &group, std::vector<at::Tensor> tensors) {
    std::vector<at::Tensor> rows;
    for (const at::Tensor &tensor : tensors) rows.push_back(tensor.reshape(-1));
    Bucket bucket{std::move(tensors), at::cat(rows), nullptr};
    std::vector<at::Tensor> flat{bucket.flat};
    bucket.work = begun([&] { return group.of(bucket.flat)->allreduce(flat); });
    return bucket;
}

} // namespace

extern "C" {

void translate_group_free(Group *group) { delete group; }

// Meets the other ranks at the store on `host` and `port`, which this process serves where `serves`. `name` keeps what this
// group writes there apart from what others do.
char *translate_group_join(Group **out, const char *host, uint16_t port, bool serves, const char *name, int rank,
                           int ranks, int64_t timeout_ms) {
    return guarded([&] {
        const std::chrono::milliseconds timeout(timeout_ms);
        c10d::TCPStoreOptions options;
        options.port = port;
        options.isServer = serves;
        options.numWorkers = ranks;
        options.timeout = timeout;
        auto tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
        auto store = c10::make_intrusive<c10d::PrefixStore>(name, tcp);
        const auto options_of_gloo = c10d::ProcessGroupGloo::Options::create_default(timeout);
        const Store of_gloo = c10::make_intrusive<c10d::PrefixStore>("gloo", store);
        *out = new Group{store, c10::make_intrusive<c10d::ProcessGroupGloo>(of_gloo, rank, ranks, options_of_gloo), {}};
    });
}

// Exchanges tensors on GPUs by NCCL from here on.
char *translate_group_use_nccl(Group *group, int64_t timeout_ms) {
    return guarded([&] {
        const auto most = std::min<std::chrono::milliseconds>(std::chrono::milliseconds(timeout_ms), MOST_OF_NCCL);
        const Store store = c10::make_intrusive<c10d::PrefixStore>("nccl", group->store);
        group->nccl = nccl(store, group->gloo->getRank(), group->gloo->getSize(), most);
    });
}

char *translate_group_set(Group *group, const char *key, const char *bytes, size_t count) {
    return guarded([&] { group->store->set(key, std::vector<uint8_t>(bytes, bytes + count)); });
}

// Waits until a rank has set `key`.
char *translate_group_get(Group *group, const char *key, Sink sink, void *context) {
    return guarded([&] {
        const auto value = group->store->get(key);
        sink(context, reinterpret_cast<const char *>(value.data()), value.size());
    });
}

// The mean over all ranks of each tensor; they give tensors of one kind, of the same shapes in the same order.
char *translate_group_mean(at::Tensor **out, Group *group, at::Tensor **tensors, size_t count) {
    return group->exchange([&] {
        std::vector<Bucket> buckets;
        std::vector<at::Tensor> open;
        int64_t bytes = 0;
        for (size_t i = 0; i < count; i++) {
            open.push_back(*tensors[i]);
            bytes += static_cast<int64_t>(tensors[i]->nbytes());
            if (bytes >= BUCKET || i + 1 == count) {
                buckets.push_back(sent(*group, std::move(open)));
                open.clear();
                bytes = 0;
            }
        }
        const double ranks = group->gloo->getSize();
        // All of them first: a failure must not leave some tensors made.
        for (Bucket &bucket : buckets) bucket.work->wait();
        for (Bucket &bucket : buckets) {
            bucket.flat.div_(ranks);
            int64_t at = 0;
            for (const at::Tensor &tensor : bucket.tensors) {
                *out++ = new at::Tensor(bucket.flat.narrow(0, at, tensor.numel()).view(tensor.sizes()));
                at += tensor.numel();
            }
        }
    });
}

// Puts rank 0's values in place of every rank's.
char *translate_group_broadcast(Group *group, at::Tensor **tensors, size_t count) {
    return group->exchange([&] {
        for (size_t i = 0; i < count; i++) {
            std::vector<at::Tensor> flat{tensors[i]->contiguous()};
            begun([&] { return group->of(flat[0])->broadcast(flat); })->wait();
            tensors[i]->copy_(flat[0]);
        }
    });
}

// The ranks' tensors, all of one shape, one after another in the order of the ranks: `[ranks, ...]`.
char *translate_group_gather(at::Tensor **out, Group *group, at::Tensor *tensor) {
    return group->exchange([&] {
        const int ranks = group->gloo->getSize();
        std::vector<int64_t> shape = tensor->sizes().vec();
        shape.insert(shape.begin(), ranks);
        at::Tensor all = at::empty(shape, tensor->options());
        std::vector<std::vector<at::Tensor>> places(1);
        for (int rank = 0; rank < ranks; rank++) places[0].push_back(all.select(0, rank));
        std::vector<at::Tensor> given{tensor->contiguous()};
        begun([&] { return group->of(all)->allgather(places, given); })->wait();
        *out = new at::Tensor(all);
    });
}

} // extern "C"
