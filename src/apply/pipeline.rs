//! Decode, translate, write, at the same time: threads decode ahead of the network and encode behind it.
//!
//! Decoded images come back in the plan's order, so which images share a batch, and with it every output bit,
//! does not depend on the number of threads. Memory is bounded by pixels and not by the length of a queue,
//! since one photograph may be as large as a thousand thumbnails: an image is read only when it fits beside
//! all that are being decoded, wait for their batch, or wait to be written.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use thiserror::Error;

use super::batch::{Batch, Decoded, GroupLimits, Groups, Source};
use super::pad::{Padded, padded_size};
use super::plan::{Item, Plan};
use super::worker::{Read, Write, Written, cost};

/// Pixels in one call of the network. One tensor of a generator of width 64 takes 256 MiB then.
const BATCH_PIXELS: u64 = 1 << 20;
/// Pixels that wait for others of their size.
const WAITING_PIXELS: u64 = 1 << 24;
/// Sizes that are collected at the same time.
const OPEN_GROUPS: usize = 8;
/// Pixels in memory; 3 bytes each, doubled for a moment while an image is padded or a batch put together.
const HELD_PIXELS: u64 = 1 << 27;

/// Translates a batch into one of the same shape, or says why it cannot.
pub type Network<'a> = dyn FnMut(&Batch) -> Result<Batch, String> + 'a;

/// How to run a plan.
#[derive(Clone, Copy, Debug)]
pub struct PipelineOptions {
    /// Images in a batch at most (0 counts as 1); fewer where a batch would be too large, one of a large
    /// image.
    pub batch: usize,
    /// What both sides of the network's input must be divisible by.
    pub multiple: u32,
    /// The shortest side the network takes, pixels.
    pub minimum: u32,
    /// Threads that decode, and as many more that encode (0 counts as 1).
    pub threads: usize,
}

impl PipelineOptions {
    /// The size at which the network sees a `width` x `height` image.
    pub(super) fn padded_size(&self, width: u32, height: u32) -> Padded {
        padded_size(width, height, self.multiple, self.minimum)
    }
}

/// What just happened to one image; called on the thread of [`run`].
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Its translation is on the disk.
    Done,
    /// It was given up; the others go on.
    Failed(&'a Failed),
}

/// An image that was not translated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}`: {reason}", path.display())]
pub struct Failed {
    /// The input.
    pub path: PathBuf,
    /// Why; names the output where it was the writing that failed.
    pub reason: String,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images written.
    pub done: usize,
    /// Images left out because their output existed.
    pub existed: usize,
    /// Images given up, sorted by path.
    pub failed: Vec<Failed>,
    /// Whether the run was stopped before the last image.
    pub interrupted: bool,
}

/// Translates every image of `plan` through `network`, which gets `[count, height, width, 3]` sRGB bytes and
/// gives the same shape back or says why not, and writes it at its own size.
///
/// An image that cannot be read, translated or written is reported and the rest go on; the images of a batch that
/// failed are tried again one by one. Once `interrupt` is set, no further batch is started; what was translated is
/// written, and every file is whole.
pub fn run(
    plan: &Plan,
    options: &PipelineOptions,
    interrupt: &AtomicBool,
    network: &mut Network<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Summary {
    let limits = GroupLimits {
        batch: options.batch.max(1),
        batch_pixels: BATCH_PIXELS,
        waiting_pixels: WAITING_PIXELS,
        open: OPEN_GROUPS,
    };
    run_within(limits, HELD_PIXELS, plan, options, interrupt, network, progress)
}

fn run_within(
    limits: GroupLimits,
    held_limit: u64,
    plan: &Plan,
    options: &PipelineOptions,
    interrupt: &AtomicBool,
    network: &mut Network<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Summary {
    let threads = options.threads.max(1);
    let (reads, read_jobs) = unbounded::<Read>();
    let (writes, write_jobs) = unbounded::<Write>();
    let (report, results) = unbounded::<Written>();
    let abandoned = AtomicBool::new(false);
    thread::scope(|scope| {
        let abandoned = &abandoned;
        for _ in 0..threads {
            let (read_jobs, write_jobs, report) = (read_jobs.clone(), write_jobs.clone(), report.clone());
            let wanted = read_jobs.into_iter().take_while(|_| !abandoned.load(Ordering::Relaxed));
            let read = move || wanted.for_each(|job| job.perform(options));
            // The report fails to be heard only when the run is over.
            let write = move || {
                write_jobs.iter().map(Write::perform).all(|done| report.send(done).is_ok());
            };
            // Where the system refuses a thread the others do its work; where it refuses all, every image says so.
            let _ = thread::Builder::new().spawn_scoped(scope, read);
            let _ = thread::Builder::new().spawn_scoped(scope, write);
        }
        drop((read_jobs, write_jobs, report));
        let mut flow = Flow {
            options,
            held_limit,
            // Enough to decode the next batch while the network works on this one.
            window: limits.batch + 2 * threads,
            items: plan.items.iter(),
            next: None,
            reads,
            pending: VecDeque::new(),
            groups: Groups::new(limits),
            writes,
            results,
            held: 0,
            writing: 0,
            summary: Summary { existed: plan.existing, ..Summary::default() },
            progress,
        };
        flow.work(interrupt, network);
        abandoned.store(true, Ordering::Relaxed);
        flow.finish()
    })
}

/// The calling thread's side: it alone counts, groups and calls the network.
struct Flow<'p, 'f> {
    options: &'p PipelineOptions,
    held_limit: u64,
    window: usize,
    items: slice::Iter<'p, Item>,
    /// The next image to decode.
    next: Option<Source<'p>>,
    reads: Sender<Read<'p>>,
    /// Images being decoded, in the plan's order.
    pending: VecDeque<(Source<'p>, Receiver<Result<Decoded, String>>)>,
    groups: Groups<'p>,
    writes: Sender<Write<'p>>,
    results: Receiver<Written<'p>>,
    /// Pixels of the images that are pending, grouped or being written.
    held: u64,
    /// Images being written.
    writing: usize,
    summary: Summary,
    progress: &'f mut dyn FnMut(Progress<'_>),
}

impl<'p> Flow<'p, '_> {
    fn work(&mut self, interrupt: &AtomicBool, network: &mut Network<'_>) {
        self.next = self.upcoming();
        loop {
            if interrupt.load(Ordering::Relaxed) {
                self.summary.interrupted = true;
                return;
            }
            self.read_ahead();
            let last = self.next.is_none() && self.pending.is_empty();
            if let Some(mut group) = self.groups.ready(last) {
                let batch = group.take_batch();
                self.translate(group.images, &batch, network);
            } else if let Some((source, reply)) = self.pending.pop_front() {
                self.receive(source, &reply);
            } else if self.next.is_some() {
                // All memory is taken by images on their way to the disk.
                if let Ok(written) = self.results.recv() {
                    self.account(written);
                }
            } else {
                return;
            }
            while let Ok(written) = self.results.try_recv() {
                self.account(written);
            }
        }
    }

    fn upcoming(&mut self) -> Option<Source<'p>> {
        let item = self.items.next()?;
        Some(Source { item, cost: cost(item, self.options) })
    }

    /// Starts decoding as far ahead as the bounds allow. One image is always allowed when nothing is on its
    /// way in or out, so that an image larger than the bound still gets its turn.
    fn read_ahead(&mut self) {
        while let Some(source) = self.next {
            let fits = self.held + source.cost <= self.held_limit;
            let idle = self.pending.is_empty() && self.writing == 0;
            if self.pending.len() >= self.window || !(fits || idle) {
                return;
            }
            let (reply, answer) = bounded(1);
            // Without a decoder the reply is dropped, which `receive` notices.
            let _ = self.reads.send(Read { item: source.item, reply });
            self.held += source.cost;
            self.pending.push_back((source, answer));
            self.next = self.upcoming();
        }
    }

    fn receive(&mut self, source: Source<'p>, reply: &Receiver<Result<Decoded, String>>) {
        match reply.recv().unwrap_or_else(|_| Err("the decoding threads have stopped".into())) {
            Ok(image) => self.groups.push(source, image),
            Err(reason) => self.give_up(source, reason),
        }
    }

    /// `batch` holds the pixels of `images`.
    fn translate(&mut self, images: Vec<(Source<'p>, Decoded)>, batch: &Batch, network: &mut Network<'_>) {
        let translated = network(batch).and_then(|translated| {
            let fits = translated.shape() == batch.shape() && translated.is_whole();
            let misfit =
                || format!("the network gave {:?} back, expected {:?}", translated.shape(), batch.shape());
            if fits { Ok(translated) } else { Err(misfit()) }
        });
        match translated {
            Ok(translated) => self.write(images, &Arc::new(translated)),
            // Together they may have been too much, and one that cannot be translated must not take the others along.
            Err(_) if images.len() > 1 => {
                for (image, alone) in images.into_iter().zip(batch.one_by_one()) {
                    self.translate(vec![image], &alone, network);
                }
            }
            Err(reason) => images.into_iter().for_each(|(source, _)| self.give_up(source, reason.clone())),
        }
    }

    fn write(&mut self, images: Vec<(Source<'p>, Decoded)>, batch: &Arc<Batch>) {
        for (position, (source, Decoded { width, height, .. })) in images.into_iter().enumerate() {
            let job = Write { source, width, height, batch: Arc::clone(batch), position };
            match self.writes.send(job) {
                Ok(()) => self.writing += 1,
                Err(_) => self.give_up(source, "the writing threads have stopped".into()),
            }
        }
    }

    fn account(&mut self, written: Written<'p>) {
        self.writing -= 1;
        match written.result {
            Ok(()) => {
                self.held -= written.source.cost;
                self.summary.done += 1;
                (self.progress)(Progress::Done);
            }
            Err(reason) => self.give_up(written.source, reason),
        }
    }

    fn give_up(&mut self, source: Source<'p>, reason: String) {
        self.held -= source.cost;
        let failed = Failed { path: source.item.input.clone(), reason };
        (self.progress)(Progress::Failed(&failed));
        self.summary.failed.push(failed);
    }

    /// Lets the threads end once what was translated is written.
    fn finish(mut self) -> Summary {
        while self.writing > 0
            && let Ok(written) = self.results.recv()
        {
            self.account(written);
        }
        self.summary.failed.sort_by(|one, other| one.path.cmp(&other.path));
        self.summary
    }
}

#[cfg(test)]
mod tests;
