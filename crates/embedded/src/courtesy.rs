//! What the threads behind the log owe to those on a send's way: with fewer cores than threads,
//! whoever wakes up waits until the one that runs has used up its slice, which is a thousand times
//! as long as a commit's own work.

/// Lets others run first, now and then.
#[derive(Debug)]
pub(crate) struct Courtesy {
    every: u32,
    done: u32,
}

impl Courtesy {
    /// After each `every` pieces of work, which together should take some 30 microseconds.
    pub(crate) fn new(every: u32) -> Courtesy {
        Courtesy { every, done: 0 }
    }

    /// One more piece is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.done >= self.every {
            self.done = 0;
            std::thread::yield_now();
        }
    }
}
