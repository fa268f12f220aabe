//! Which rows attend to each other: windows of a map, whole pictures, or any lists.
//!
//! Invariant: every row is in at most one group, so tasks that write the results of different groups never meet.

/// The mark of a place that no row fills.
const PADDING: u32 = u32::MAX;

/// Lists of rows, all of one length, whose places may be padding.
pub struct Groups {
    /// Places of a group.
    places: usize,
    /// Group after group, a row or [`PADDING`] a place.
    rows: Vec<u32>,
    /// The places that rows fill, group after group.
    queries: Vec<Query>,
    /// Where each group's `queries` start, and the end.
    starts: Vec<usize>,
    /// One more than the highest row.
    row_bound: usize,
}

/// A place that a row fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query {
    /// In the group.
    pub(super) place: u32,
    /// Of the queries, keys, values and results.
    pub(super) row: u32,
}

impl Groups {
    /// `rows` are the groups one after the other, `places` each; `None` is padding.
    ///
    /// # Panics
    /// If the groups are not whole, or a row is in them twice or beyond `u32::MAX - 1`.
    pub fn new(places: usize, rows: impl IntoIterator<Item = Option<usize>>) -> Self {
        let number = |row: usize| {
            let number = u32::try_from(row).ok().filter(|&number| number != PADDING);
            number.unwrap_or_else(|| panic!("row {row} is beyond what groups can name"))
        };
        let rows: Vec<u32> = rows.into_iter().map(|row| row.map_or(PADDING, number)).collect();
        assert!(places > 0 && rows.len().is_multiple_of(places), "{} rows in groups of {places}", rows.len());
        let row_bound = rows.iter().filter(|&&row| row != PADDING).max().map_or(0, |&row| row as usize + 1);
        let mut seen = vec![false; row_bound];
        let (mut queries, mut starts) = (Vec::with_capacity(rows.len()), vec![0]);
        for group in rows.chunks_exact(places) {
            for (place, &row) in group.iter().enumerate().filter(|&(_, &row)| row != PADDING) {
                assert!(!std::mem::replace(&mut seen[row as usize], true), "row {row} is in the groups twice");
                queries.push(Query { place: place as u32, row });
            }
            starts.push(queries.len());
        }
        Self { places, rows, queries, starts, row_bound }
    }

    /// Rows `0..places`, then the next as many: a whole picture each.
    pub fn consecutive(groups: usize, places: usize) -> Self {
        Self::new(places, (0..groups * places).map(Some))
    }

    /// The square windows of a map whose rows are its pixels; windows that reach beyond its right or lower edge are
    /// filled with padding. Windows and places are in reading order.
    pub fn windows(height: usize, width: usize, side: usize) -> Self {
        let rows = (0..height.div_ceil(side)).flat_map(|top| {
            (0..width.div_ceil(side)).flat_map(move |left| {
                (0..side * side).map(move |place| {
                    let (y, x) = (top * side + place / side, left * side + place % side);
                    (y < height && x < width).then_some(y * width + x)
                })
            })
        });
        Self::new(side * side, rows)
    }

    /// Places of a group.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Groups.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the highest row.
    pub(super) fn row_bound(&self) -> usize {
        self.row_bound
    }

    /// Whether a place is not filled.
    pub(super) fn has_padding(&self) -> bool {
        self.queries.len() < self.rows.len()
    }

    /// The row at each place of a group, `None` for padding.
    pub(super) fn rows_of(&self, group: usize) -> impl Iterator<Item = Option<usize>> {
        let rows = &self.rows[group * self.places..(group + 1) * self.places];
        rows.iter().map(|&row| (row != PADDING).then_some(row as usize))
    }

    /// The filled places of a group.
    pub(super) fn queries_of(&self, group: usize) -> &[Query] {
        &self.queries[self.starts[group]..self.starts[group + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_every_pixel_once_and_pad_beyond_the_edges() {
        let groups = Groups::windows(3, 5, 2);
        assert_eq!((groups.len(), groups.places(), groups.row_bound()), (6, 4, 15));
        assert!(groups.has_padding());
        assert_eq!(groups.rows_of(0).collect::<Vec<_>>(), [Some(0), Some(1), Some(5), Some(6)]);
        assert_eq!(groups.rows_of(2).collect::<Vec<_>>(), [Some(4), None, Some(9), None]);
        assert_eq!(groups.rows_of(5).collect::<Vec<_>>(), [Some(14), None, None, None]);
        assert_eq!(groups.queries_of(2), [Query { place: 0, row: 4 }, Query { place: 2, row: 9 }]);
        assert!(!Groups::consecutive(2, 3).has_padding());
        assert!(Groups::new(4, []).is_empty());
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn a_row_in_two_groups_is_refused() {
        Groups::new(2, [0, 1, 1, 2].map(Some));
    }
}
