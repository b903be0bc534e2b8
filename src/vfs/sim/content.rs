//! The bytes of one file: sparse, copy-on-write pages, so that a copy of a whole file system costs next to nothing.

use std::sync::{Arc, LazyLock};

/// Bytes per page, which is also the unit in which space is allocated.
pub(super) const PAGE: usize = 4096;

type Page = [u8; PAGE];

/// Preallocation writes zeros: all of those pages are this one.
static ZEROS: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new([0; PAGE]));

/// Invariant outside of crash building: every byte at or beyond `len` is zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: u64,
    pages: Arc<Vec<Option<Arc<Page>>>>,
    allocated: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.allocated * PAGE as u64
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n = rest.min(buf.len());
        for span in spans(offset, n) {
            let Some(to) = buf.get_mut(span.from..span.from + span.len) else { continue };
            match self.pages.get(span.page) {
                Some(Some(page)) => to.copy_from_slice(page.get(span.start..span.start + span.len).unwrap_or_default()),
                _ => to.fill(0),
            }
        }
        n
    }

    pub(super) fn to_vec(&self, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(len.min(self.len)).unwrap_or_default()];
        self.read(&mut bytes, 0);
        bytes
    }

    /// How many of `len` bytes at `offset` can be stored when only `free` more bytes may be allocated.
    pub(super) fn fitting(&self, offset: u64, len: usize, free: u64) -> usize {
        let mut pages_left = free / PAGE as u64;
        let mut fit = 0;
        for span in spans(offset, len) {
            if !matches!(self.pages.get(span.page), Some(Some(_))) {
                if pages_left == 0 {
                    break;
                }
                pages_left -= 1;
            }
            fit += span.len;
        }
        fit
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        self.poke(offset, data);
        self.extend(offset + data.len() as u64);
    }

    /// Stores bytes without moving the end of the file; what lies beyond the end shows up if `extend` reveals it.
    pub(super) fn poke(&mut self, offset: u64, data: &[u8]) {
        let pages = Arc::make_mut(&mut self.pages);
        for span in spans(offset, data.len()) {
            if pages.len() <= span.page {
                pages.resize(span.page + 1, None);
            }
            let Some(slot) = pages.get_mut(span.page) else { continue };
            let from = data.get(span.from..span.from + span.len).unwrap_or_default();
            if slot.is_none() {
                self.allocated += 1;
            }
            if let Ok(whole) = <&Page>::try_from(from) {
                *slot = Some(if *whole == **ZEROS { Arc::clone(&ZEROS) } else { Arc::new(*whole) });
                continue;
            }
            let page = Arc::make_mut(slot.get_or_insert_with(|| Arc::clone(&ZEROS)));
            if let Some(to) = page.get_mut(span.start..span.start + span.len) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Moves the end of the file up to `len` if it is below.
    pub(super) fn extend(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Discards everything at and beyond `len`, then puts the end of the file there.
    pub(super) fn set_len(&mut self, len: u64) {
        self.len = len;
        self.trim();
    }

    /// Restores the invariant after `poke` wrote beyond the end.
    pub(super) fn trim(&mut self) {
        let Ok(len) = usize::try_from(self.len) else { return };
        if self.pages.len() < len.div_ceil(PAGE) || (self.pages.len() == len.div_ceil(PAGE) && len % PAGE == 0) {
            return;
        }
        let pages = Arc::make_mut(&mut self.pages);
        for page in pages.drain(len.div_ceil(PAGE)..) {
            self.allocated -= u64::from(page.is_some());
        }
        let tail = len % PAGE;
        if tail == 0 {
            return;
        }
        if let Some(Some(page)) = pages.get_mut(len / PAGE)
            && page.get(tail..).unwrap_or_default().iter().any(|&byte| byte != 0)
        {
            Arc::make_mut(page).get_mut(tail..).unwrap_or_default().fill(0);
        }
    }
}

struct Span {
    page: usize,
    /// Where in the page.
    start: usize,
    /// Where in the caller's buffer.
    from: usize,
    len: usize,
}

/// Cuts a range of a file at page boundaries.
fn spans(offset: u64, len: usize) -> impl Iterator<Item = Span> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = usize::try_from(offset).ok()?.checked_add(done)?;
        let start = at % PAGE;
        let span = Span { page: at / PAGE, start, from: done, len: (PAGE - start).min(len - done) };
        done += span.len;
        Some(span)
    })
}
