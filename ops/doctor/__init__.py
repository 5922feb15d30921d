"""``diastole doctor``: facts are gathered, each is judged by a pure check, and the findings are reported."""
