"""The exchange of a step alone: means of float32 tensors over all ranks, by the same Gloo in buckets of the same size.

`torchrun --no-python --nproc-per-node 2 python benches/exchange.py MILLIONS [...]`; each number is one of millions of
parameters. The first rank prints the median of 20 exchanges in milliseconds.
"""

import statistics
import sys
import time

import torch
import torch.distributed as dist

BUCKET = 8 << 20

dist.init_process_group("gloo")
for millions in sys.argv[1:]:
    buckets = torch.ones(int(float(millions) * 1e6)).split(BUCKET)
    times = []
    for _ in range(23):
        dist.barrier()
        start = time.perf_counter()
        for work in [dist.all_reduce(bucket, async_op=True) for bucket in buckets]:
            work.wait()
        for bucket in buckets:
            bucket /= dist.get_world_size()
        times.append((time.perf_counter() - start) * 1e3)
    if dist.get_rank() == 0:
        print(f"{millions} M parameters: {statistics.median(times[3:]):.1f} ms")
dist.destroy_process_group()
