"""The experiments of Chadebec & Allassonnière (2021): data sets, grid of runs, tables and figures."""
