// Processes that train together: libtorch's own `c10d`. They meet at a store (TCP), and exchange tensors by Gloo. Tensors
// cross as tch's own `at::Tensor *`; an error comes back as a malloc'ed message that Rust frees with `translate_free`, and
// no exception crosses the boundary.

#define USE_C10D_GLOO

#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace {

// Takes the bytes of a result.
using Sink = void (*)(void *context, const char *bytes, size_t count);

// Bytes of a bucket: small enough that the first is under way while the next is filled, large enough that a message's fixed
// cost does not count.
constexpr int64_t BUCKET = 32 << 20;

struct Group {
    c10::intrusive_ptr<c10d::Store> store;
    c10::intrusive_ptr<c10d::Backend> backend;
};

// Tensors of one kind laid end to end, on their way.
struct Bucket {
    std::vector<at::Tensor> tensors;
    at::Tensor flat;
    c10::intrusive_ptr<c10d::Work> work;
};

// Begins an exchange. libtorch's flight recorder notes each beginning in a map that several groups of one process share
// without a lock.
template <typename F> c10::intrusive_ptr<c10d::Work> begun(F begin) {
    static std::mutex mutex;
    const std::lock_guard<std::mutex> lock(mutex);
    return begin();
}

Bucket sent(const Group &group, std::vector<at::Tensor> tensors) {
    std::vector<at::Tensor> rows;
    for (const at::Tensor &tensor : tensors) rows.push_back(tensor.reshape(-1));
    Bucket bucket{std::move(tensors), at::cat(rows), nullptr};
    std::vector<at::Tensor> flat{bucket.flat};
    bucket.work = begun([&] { return group.backend->allreduce(flat); });
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
        auto gloo = c10d::ProcessGroupGloo::Options::create_default(timeout);
        auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, ranks, gloo);
        *out = new Group{store, backend};
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
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
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
        const double ranks = group->backend->getSize();
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
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        for (size_t i = 0; i < count; i++) {
            std::vector<at::Tensor> flat{tensors[i]->contiguous()};
            begun([&] { return group->backend->broadcast(flat); })->wait();
            tensors[i]->copy_(flat[0]);
        }
    });
}

// The ranks' tensors, all of one shape, one after another in the order of the ranks: `[ranks, ...]`.
char *translate_group_gather(at::Tensor **out, Group *group, at::Tensor *tensor) {
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        const int ranks = group->backend->getSize();
        std::vector<int64_t> shape = tensor->sizes().vec();
        shape.insert(shape.begin(), ranks);
        at::Tensor all = at::empty(shape, tensor->options());
        std::vector<std::vector<at::Tensor>> places(1);
        for (int rank = 0; rank < ranks; rank++) places[0].push_back(all.select(0, rank));
        std::vector<at::Tensor> given{tensor->contiguous()};
        begun([&] { return group->backend->allgather(places, given); })->wait();
        *out = new at::Tensor(all);
    });
}

} // extern "C"
