//! Who is linked with whom, and how far it is from one to another.

use std::collections::VecDeque;

/// The links that carry something, by node.
#[derive(Clone, Debug)]
pub(crate) struct Graph(Vec<Vec<usize>>);

impl Graph {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(vec![Vec::new(); nodes])
    }

    pub(crate) fn link(&mut self, a: usize, b: usize) {
        self.0[a].push(b);
        self.0[b].push(a);
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(place) = self.0[from].iter().position(|far| *far == to) {
                self.0[from].swap_remove(place);
            }
        }
    }

    pub(crate) fn neighbours(&self, node: usize) -> &[usize] {
        &self.0[node]
    }

    /// The links of the shortest way to every node, on ways whose inner nodes are `open`.
    pub(crate) fn distances(&self, from: usize, open: impl Fn(usize) -> bool) -> Vec<Option<u32>> {
        let mut distances = vec![None; self.0.len()];
        distances[from] = Some(0);
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((node, distance)) = queue.pop_front() {
            if node != from && !open(node) {
                continue;
            }
            for far in &self.0[node] {
                if distances[*far].is_none() {
                    distances[*far] = Some(distance + 1);
                    queue.push_back((*far, distance + 1));
                }
            }
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_go_around_closed_nodes() {
        let mut graph = Graph::new(6);
        for (a, b) in [(0, 1), (1, 2), (0, 3), (3, 4), (4, 2)] {
            graph.link(a, b);
        }
        let all = [Some(0), Some(1), Some(2), Some(1), Some(2), None];
        assert_eq!(graph.distances(0, |_| true), all);
        assert_eq!(graph.distances(0, |node| node != 1)[2], Some(3));
        graph.cut(0, 3);
        assert_eq!(graph.distances(0, |node| node != 1)[2], None);
    }
}
