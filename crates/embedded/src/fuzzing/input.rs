//! Decisions, made from the bytes of an input. Once they are used up, every decision is zero.

/// What is left of an input.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Input<'a> {
        Input(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number of any size, small ones as likely as large ones.
    pub(crate) fn number(&mut self) -> u64 {
        let bits = u32::from(self.byte()) % 64;
        self.long() >> bits
    }

    /// Up to `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(len.min(self.0.len()));
        self.0 = left;
        taken
    }

    /// Up to 255 bytes.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.take(usize::from(len))
    }

    /// A text of 1 to 96 bytes, as an id is.
    pub(crate) fn name(&mut self) -> String {
        let len = usize::from(self.byte() % 32) + 1;
        let text = String::from_utf8_lossy(self.take(len)).into_owned();
        if text.is_empty() { "x".to_owned() } else { text }
    }
}
