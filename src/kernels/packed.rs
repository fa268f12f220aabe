//! Weights of a product `x W`, laid out once at load in the order in which the kernel reads them.
//!
//! The columns are cut into panels of one to four vectors; within a panel the numbers of a row of `W` lie together, row
//! after row, so the innermost loop reads one aligned stream. As bf16, two rows of `W` lie together, the first in the low
//! half of each 32 bits. Invariant: columns beyond the last, and a last row without a partner, are zeros.

use super::isa::{Isa, Shape};
use super::memory::Aligned;

/// Columns of a product that are computed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    /// The first column.
    pub(super) column: usize,
    /// Columns that exist.
    pub(super) columns: usize,
    /// Vectors across, the last of them perhaps partly beyond the end.
    pub(super) vectors: usize,
    /// Where its numbers start.
    pub(super) start: usize,
}

/// Packed weights `[depth, columns]`.
pub struct Packed {
    pub(super) isa: Isa,
    pub(super) depth: usize,
    pub(super) columns: usize,
    pub(super) panels: Vec<Panel>,
    pub(super) values: Aligned,
}

impl Packed {
    /// Packs `W[row][column] = value(row, column)`, as bf16 if the set has such products.
    pub fn new(isa: Isa, depth: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let Shape { lanes, max_vectors, .. } = isa.shape();
        let steps = if isa.packs_bf16() { depth.div_ceil(2) } else { depth };
        let panels = panels(steps, columns, lanes, max_vectors);
        let total = panels.last().map_or(0, |last| last.start + last.vectors * lanes * steps);
        let half = |row: usize, column: usize| match row {
            row if row < depth => u32::from(half::bf16::from_f32(value(row, column)).to_bits()),
            _ => 0,
        };
        let mut values = Aligned::zeros(total);
        for panel in &panels {
            let width = panel.vectors * lanes;
            let packed = &mut values[panel.start..panel.start + width * steps];
            for (row, line) in packed.chunks_exact_mut(width).enumerate() {
                for (offset, slot) in line[..panel.columns].iter_mut().enumerate() {
                    let column = panel.column + offset;
                    *slot = if isa.packs_bf16() {
                        f32::from_bits(half(2 * row, column) | half(2 * row + 1, column) << 16)
                    } else {
                        value(row, column)
                    };
                }
            }
        }
        Self { isa, depth, columns, panels, values }
    }

    /// Packs a linear layer's weight as PyTorch keeps it, `[outputs, inputs]` row-major: `W[i][o] = weight[o][i]`.
    pub fn from_linear(isa: Isa, weight: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs);
        Self::new(isa, inputs, outputs, |row, column| weight[column * inputs + row])
    }

    /// Rows of the weights: values of an input row.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the weights: values of an output row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Steps of the innermost loop: values of an input row, or pairs of them.
    pub(super) fn steps(&self) -> usize {
        if self.isa.packs_bf16() { self.depth.div_ceil(2) } else { self.depth }
    }

    /// Bytes held.
    pub fn byte_size(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// Cuts `columns` into panels of at most `most` vectors of `lanes`, preferring widths that keep the registers full.
pub(super) fn panels(depth: usize, columns: usize, lanes: usize, most: usize) -> Vec<Panel> {
    let mut vectors = columns.div_ceil(lanes);
    let mut widths = Vec::new();
    while vectors > 0 {
        // A lone vector has too few sums in flight; four and one are better cut as three and two.
        let width = match vectors {
            5 if most == 4 => 3,
            6 if most == 4 => 3,
            rest => rest.min(most),
        };
        widths.push(width);
        vectors -= width;
    }
    let mut panels = Vec::new();
    let (mut column, mut start) = (0, 0);
    for vectors in widths {
        let width = vectors * lanes;
        panels.push(Panel { column, columns: width.min(columns - column), vectors, start });
        column += width;
        start += width * depth;
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_cover_all_columns_once() {
        for (lanes, most) in [(16, 4), (8, 2), (4, 2)] {
            for columns in 0..200 {
                let panels = panels(3, columns, lanes, most);
                assert_eq!(panels.iter().map(|p| p.columns).sum::<usize>(), columns);
                let mut next = (0, 0);
                for panel in panels {
                    assert_eq!((panel.column, panel.start), next);
                    assert!(panel.vectors <= most && panel.columns > (panel.vectors - 1) * lanes);
                    next = (panel.column + panel.columns, panel.start + panel.vectors * lanes * 3);
                }
            }
        }
    }
}
