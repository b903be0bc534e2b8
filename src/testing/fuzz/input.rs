//! Choices made from the bytes of an input.

/// Takes choices from the front of an input; what is left is the data.
#[derive(Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte; 0 at the end.
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// One of these.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let index = usize::from(self.byte()).checked_rem(choices.len())?;
        choices.get(index).copied()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }
}
