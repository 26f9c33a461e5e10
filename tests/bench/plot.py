"""SVG of a table, by gnuplot.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import shutil
import subprocess


def bars(path, title, rows):
    """rows: (label, value). No gnuplot: no picture, the table says it all."""
    if shutil.which("gnuplot") is None or not rows:
        return
    data = "".join('"%s" %g\n' % row for row in rows)
    script = """
set terminal svg size 900,420 dynamic background rgb 'white'
set output '%s'
set title '%s'
set style fill solid 0.7
set boxwidth 0.7
set yrange [0:*]
set xtics rotate by -35
unset key
$rows << END
%sEND
plot $rows using 0:2:xtic(1) with boxes
""" % (path, title, data)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
