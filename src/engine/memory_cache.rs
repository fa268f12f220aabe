//! Embeddings in memory: what was used last stays, within a budget of bytes.
//!
//! Invariant: the sum of the entries is within the budget, except for pinned entries (the views in use now), which
//! always stay: dropping them would make the encoder run in circles.

use super::embedding_key::EmbeddingKey;
use crate::inference::Embedding;
use std::collections::HashMap;

/// Least recently used, counted in bytes.
pub(super) struct MemoryCache {
    entries: HashMap<EmbeddingKey, Entry>,
    budget_bytes: u64,
    used_bytes: u64,
    clock: u64,
}

struct Entry {
    embedding: Embedding,
    last_use: u64,
}

impl MemoryCache {
    pub fn new(budget_bytes: u64) -> Self {
        Self { entries: HashMap::new(), budget_bytes, used_bytes: 0, clock: 0 }
    }

    /// Whether there is such an embedding; does not count as a use.
    pub fn contains(&self, key: &EmbeddingKey) -> bool {
        self.entries.contains_key(key)
    }

    /// The embedding, which is now the last one used.
    pub fn get(&mut self, key: &EmbeddingKey) -> Option<Embedding> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.last_use = self.clock;
        Some(entry.embedding.clone())
    }

    /// Keeps an embedding as the last one used and drops the ones unused for longest until the budget holds. Pinned
    /// entries stay; so a new entry that is not pinned itself goes again if the pinned ones leave no room for it.
    pub fn insert(&mut self, key: EmbeddingKey, embedding: Embedding, pinned: &[EmbeddingKey]) {
        self.clock += 1;
        self.used_bytes += embedding.byte_size as u64;
        if let Some(old) = self.entries.insert(key, Entry { embedding, last_use: self.clock }) {
            self.used_bytes -= old.embedding.byte_size as u64;
        }
        while self.used_bytes > self.budget_bytes {
            let oldest = self.entries.iter().filter(|(key, _)| !pinned.contains(key)).min_by_key(|(_, e)| e.last_use);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { return };
            if let Some(dropped) = self.entries.remove(&oldest) {
                self.used_bytes -= dropped.embedding.byte_size as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn key(number: u8) -> EmbeddingKey {
        EmbeddingKey([number; 32])
    }

    fn embedding(byte_size: usize) -> Embedding {
        Embedding { model_id: "test".into(), tensors: Arc::new(()), byte_size }
    }

    #[test]
    fn the_budget_holds_and_the_last_used_stay() {
        let mut cache = MemoryCache::new(100);
        for number in 0..4 {
            cache.insert(key(number), embedding(30), &[]);
            assert!(cache.used_bytes <= 100);
        }
        assert!(!cache.contains(&key(0)));
        assert!(cache.get(&key(1)).is_some());
        cache.insert(key(4), embedding(30), &[]);
        assert!(cache.contains(&key(1)) && !cache.contains(&key(2)), "the use of 1 made 2 the oldest");
    }

    #[test]
    fn pinned_entries_stay_whatever_they_take_and_leave_no_room_for_spare_ones() {
        let mut cache = MemoryCache::new(50);
        cache.insert(key(1), embedding(80), &[key(1)]);
        assert!(cache.contains(&key(1)));
        cache.insert(key(2), embedding(10), &[key(1)]);
        assert!(cache.contains(&key(1)) && !cache.contains(&key(2)));
        cache.insert(key(3), embedding(10), &[key(3)]);
        assert!(!cache.contains(&key(1)) && cache.contains(&key(3)), "no longer pinned");
    }

    #[test]
    fn replacing_an_entry_counts_it_once() {
        let mut cache = MemoryCache::new(100);
        for _ in 0..5 {
            cache.insert(key(1), embedding(60), &[]);
        }
        assert!(cache.contains(&key(1)));
        assert_eq!(cache.used_bytes, 60);
    }
}
