"""Parts of `pick` on pictures: trials of candidates, the study that workers share, and the chosen network."""
