//! Attention against its definition in f64, on every instruction set.

use super::super::testing::{assert_close, noise};
use super::super::{Cpu, Isa, Rows, RowsMut};
use super::*;

/// A layer with its numbers in the open.
struct Case {
    heads: Heads,
    groups: Groups,
    columns: usize,
    table: Option<Vec<f32>>,
    relative: Option<(usize, Vec<f32>, Vec<f32>)>,
}

impl Case {
    fn layer(&self, isa: Isa) -> Attention {
        let Heads { count, depth, .. } = self.heads;
        let positions = match (&self.table, &self.relative) {
            (Some(table), _) => Positions::table(count, self.groups.places(), table),
            (_, Some((side, rows, columns))) => Positions::relative(isa, *side, depth, rows, columns),
            _ => Positions::None,
        };
        Attention::new(isa, self.heads, positions)
    }

    fn run(&self, isa: Isa, qkv: &[f32], padding: &[f32]) -> Vec<f32> {
        let cpu = Cpu { isa, ..Cpu::new() };
        let width = self.heads.count * self.heads.depth;
        let mut out = vec![9.0; qkv.len() / self.columns * (width + 1)];
        let rows = RowsMut { values: &mut out, stride: width + 1 };
        let layer = self.layer(isa);
        layer.run(&cpu, Rows::dense(qkv, self.columns), &self.groups, Some(padding), rows);
        out
    }

    fn plain(&self, qkv: &[f32], padding: &[f32]) -> Vec<f32> {
        let Heads { count, depth, query, key, value, step } = self.heads;
        let width = count * depth;
        let mut out = vec![9.0; qkv.len() / self.columns * (width + 1)];
        let row_of = |row: Option<usize>| row.map_or(padding, |row| &qkv[row * self.columns..][..self.columns]);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        for (group, head) in (0..self.groups.len()).flat_map(|g| (0..count).map(move |h| (g, h))) {
            let rows: Vec<_> = self.groups.rows_of(group).collect();
            for (place, row) in rows.iter().enumerate().filter_map(|(place, row)| row.map(|row| (place, row))) {
                let q = &row_of(Some(row))[query + head * step..][..depth];
                let scores: Vec<f64> = (0..rows.len())
                    .map(|other| {
                        let k = &row_of(rows[other])[key + head * step..][..depth];
                        let mut score = dot(q, k) / (depth as f64).sqrt();
                        if let Some(table) = &self.table {
                            score += f64::from(table[(head * rows.len() + place) * rows.len() + other]);
                        }
                        if let Some((side, of_rows, of_columns)) = &self.relative {
                            let (y, x) =
                                (place / side + side - 1 - other / side, place % side + side - 1 - other % side);
                            score += dot(q, &of_rows[y * depth..][..depth]) + dot(q, &of_columns[x * depth..][..depth]);
                        }
                        score
                    })
                    .collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let total: f64 = weights.iter().sum();
                for d in 0..depth {
                    let sum: f64 = weights
                        .iter()
                        .zip(&rows)
                        .map(|(weight, other)| weight * f64::from(row_of(*other)[value + head * step + d]))
                        .sum();
                    out[row * (width + 1) + head * depth + d] = (sum / total) as f32;
                }
            }
        }
        out
    }

    fn check(&self) {
        let qkv = noise(self.groups.row_bound() * self.columns, 1);
        let padding = noise(self.columns, 2);
        let want = self.plain(&qkv, &padding);
        for isa in Isa::all() {
            assert_close(isa.word(), &self.run(isa, &qkv, &padding), &want, 1e-5);
        }
        // With bf16 the scores are off by a part of themselves, so they are kept small.
        let Some(isa) = Isa::best_bf16() else { return };
        let small = |values: &[f32]| values.iter().map(|v| v * 0.25).collect::<Vec<f32>>();
        let (qkv, padding) = (small(&qkv), small(&padding));
        assert_close(isa.word(), &self.run(isa, &qkv, &padding), &self.plain(&qkv, &padding), 6e-3);
    }
}

fn case(heads: Heads, groups: Groups) -> Case {
    Case { heads, groups, columns: 3 * heads.count * heads.depth, table: None, relative: None }
}

#[test]
fn plain_attention_is_its_definition() {
    for (heads, groups, places) in [
        (Heads::parts_first(1, 1), 1, 1),
        (Heads::parts_first(2, 5), 3, 7),
        (Heads::heads_first(3, 16), 2, 50),
        (Heads::parts_first(1, 33), 1, 17),
        (Heads::heads_first(1, 80), 1, 131),
        // Several blocks of keys and of queries, shared and not.
        (Heads::parts_first(2, 8), 1, 1100),
        (Heads::parts_first(1, 4), 40, 100),
    ] {
        case(heads, Groups::consecutive(groups, places)).check();
    }
}

#[test]
fn windows_with_padding_and_relative_positions_are_their_definition() {
    for (height, width, side, heads) in [
        (5, 7, 3, Heads::parts_first(2, 6)),
        (20, 20, 14, Heads::parts_first(2, 16)),
        (20, 20, 20, Heads::heads_first(1, 16)),
        (32, 32, 32, Heads::parts_first(1, 8)),
        // Blocks of keys that end within a row of the window, of whole vectors and not.
        (24, 24, 24, Heads::parts_first(1, 8)),
        (25, 25, 25, Heads::parts_first(1, 4)),
        (1, 1, 4, Heads::parts_first(1, 3)),
    ] {
        let table = |seed| noise((2 * side - 1) * heads.depth, seed).iter().map(|v| v * 0.5).collect();
        let groups = Groups::windows(height, width, side);
        Case { relative: Some((side, table(3), table(4))), ..case(heads, groups) }.check();
    }
}

#[test]
fn windows_with_a_table_are_their_definition() {
    for (height, width, side, heads) in [
        (8, 8, 7, Heads::heads_first(2, 32)),
        (5, 3, 3, Heads::heads_first(3, 5)),
        (30, 30, 30, Heads::parts_first(1, 4)),
    ] {
        let groups = Groups::windows(height, width, side);
        let places = side * side;
        Case { table: Some(noise(heads.count * places * places, 3)), ..case(heads, groups) }.check();
    }
}

#[test]
fn a_late_large_score_and_far_away_scores_are_exact() {
    // The maximum moves in the last block of keys, by far more than exp can tell.
    let heads = Heads::parts_first(1, 1);
    let case = case(heads, Groups::consecutive(1, 1300));
    let qkv: Vec<f32> = (0..1300).flat_map(|row| [1.0, if row == 1299 { 500.0 } else { -300.0 }, row as f32]).collect();
    for isa in Isa::all() {
        let out = case.run(isa, &qkv, &[0.0; 3]);
        assert!(out.chunks(2).all(|row| row == [1299.0, 9.0]), "{}", isa.word());
    }
}

#[test]
fn nan_reaches_its_group_and_head_only() {
    let heads = Heads::parts_first(2, 8);
    let case = case(heads, Groups::consecutive(2, 600));
    let mut qkv = noise(1200 * 48, 1);
    for isa in Isa::all() {
        let clean = case.run(isa, &qkv, &[]);
        // A query: its own row. A key: every row of the group.
        for (column, all) in [(3, false), (16 + 3, true)] {
            let old = std::mem::replace(&mut qkv[700 * 48 + column], f32::NAN);
            let out = case.run(isa, &qkv, &[]);
            qkv[700 * 48 + column] = old;
            for (row, (got, want)) in out.chunks(17).zip(clean.chunks(17)).enumerate() {
                let spoiled = row == 700 || (all && row >= 600);
                assert_eq!(got[..8].iter().all(|v| v.is_nan()), spoiled, "{} row {row}", isa.word());
                assert_eq!(got[8..], want[8..], "{} row {row}", isa.word());
                assert!(spoiled || got[..8] == want[..8], "{} row {row}", isa.word());
            }
        }
    }
}

#[test]
#[should_panic(expected = "padding need a row")]
fn padding_without_a_row_is_refused() {
    let layer = Attention::new(Isa::PORTABLE, Heads::parts_first(1, 1), Positions::None);
    let groups = Groups::windows(1, 1, 2);
    layer.run(&Cpu::new(), Rows::dense(&[0.0; 3], 3), &groups, None, RowsMut::dense(&mut [0.0], 1));
}
