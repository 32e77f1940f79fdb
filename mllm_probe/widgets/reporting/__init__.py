"""Parts of a report: the facts, the best cells, the cells that clear their controls, figures and answers."""
