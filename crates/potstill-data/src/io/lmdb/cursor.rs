//! A walk along the leaves.

use super::Lmdb;
use super::page::Page;
use potstill_core::{Error, Result};

/// Keys of a database in the order of their bytes; ends after the first error.
pub struct Keys<'a> {
    lmdb: &'a Lmdb,
    /// Path from the root down: each page, its number and the node that is next.
    path: Vec<(Page, u64, usize)>,
    /// The page to go down to next.
    down: Option<u64>,
    /// Pages that may still be visited; each is visited once unless the pages form a circle.
    pages_left: u64,
    last: Option<Vec<u8>>,
}

impl Lmdb {
    /// Keys in the order of their bytes.
    pub fn keys(&self) -> Keys<'_> {
        Keys::new(self)
    }
}

impl<'a> Keys<'a> {
    fn new(lmdb: &'a Lmdb) -> Self {
        let down = lmdb.root().map(|(root, _)| root);
        Self { lmdb, path: Vec::new(), down, pages_left: lmdb.n_pages(), last: None }
    }

    fn advance(&mut self) -> Result<Option<Vec<u8>>> {
        let depth = self.lmdb.root().map_or(0, |(_, depth)| usize::from(depth));
        loop {
            if let Some(number) = self.down.take() {
                self.pages_left = self.pages_left.checked_sub(1).ok_or_else(|| self.lmdb.damaged(number))?;
                let leaf = self.path.len() + 1 == depth;
                self.path.push((self.lmdb.page(number, leaf)?, number, 0));
            }
            let Some((page, number, next)) = self.path.last_mut() else { return Ok(None) };
            let (i, number) = (*next, *number);
            *next += 1;
            if i >= page.n_nodes {
                self.path.pop();
            } else if page.leaf {
                let key = page.key(i).ok_or_else(|| self.lmdb.damaged(number))?.to_vec();
                return self.in_order(key, number).map(Some);
            } else {
                self.down = Some(page.child(i).ok_or_else(|| self.lmdb.damaged(number))?);
            }
        }
    }

    fn in_order(&mut self, key: Vec<u8>, page: u64) -> Result<Vec<u8>> {
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(self.lmdb.damaged(page));
        }
        self.last = Some(key.clone());
        Ok(key)
    }
}

impl Iterator for Keys<'_> {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.path.clear();
            self.down = None;
        }
        next.transpose()
    }
}
