/* SPDX-License-Identifier: MIT */
/* freq_files.c - modes as a Molden file, as animated extended XYZ, and the spectrum as SVG.
 *
 * Molden: G. Schaftenaar, J. H. Noordik, J. Comput.-Aided Mol. Design 14, 123 (2000),
 * doi:10.1023/A:1008193805436; the sections FREQ, FR-COORD (bohr), FR-NORM-COORD and INT, which
 * Molden, Jmol, Avogadro and Chemcraft read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_io.h"
#include "console.h"
#include "engrad.h"
#include "freq.h"
#include "outfile.h"

static const double WIDTH = 16.0;    /* cm^-1, full width at half maximum */
static const double AMPLITUDE = 0.5; /* Angstrom: largest displacement of an animation */
static const double PI = 3.14159265358979323846;
enum { N_FRAMES = 20, N_POINTS = 900, MAX_TICKS = 24 };

int freq_write_molden(const char *path, const freq_entry *e)
{
    const aimnet_vib_modes *m = e->modes;
    cli_outfile o;
    if (cli_outfile_open(&o, path) != CLI_OK)
        return CLI_FAILED;
    fprintf(o.file, "[Molden Format]\n[FREQ]\n");
    for (int32_t k = 0; k < m->n_modes; k++)
        fprintf(o.file, "%12.4f\n", m->wavenumber[k]);
    fprintf(o.file, "[FR-COORD]\n");
    for (int32_t i = 0; i < m->n_atoms; i++) {
        const double *x = e->system.coord + 3 * (size_t)i;
        fprintf(o.file, "%-3s %16.9f %16.9f %16.9f\n", aimnet_element_symbol(e->system.numbers[i]),
                x[0] / CLI_BOHR, x[1] / CLI_BOHR, x[2] / CLI_BOHR);
    }
    fprintf(o.file, "[FR-NORM-COORD]\n");
    for (int32_t k = 0; k < m->n_modes; k++) {
        fprintf(o.file, "vibration %d\n", (int)k + 1);
        for (int32_t i = 0; i < m->n_atoms; i++) {
            const double *x = m->displacement + 3 * ((size_t)k * (size_t)m->n_atoms + (size_t)i);
            fprintf(o.file, "%16.9f %16.9f %16.9f\n", x[0], x[1], x[2]);
        }
    }
    if (m->intensity) {
        fprintf(o.file, "[INT]\n");
        for (int32_t k = 0; k < m->n_modes; k++)
            fprintf(o.file, "%12.4f\n", m->intensity[k]);
    }
    return cli_outfile_close(&o);
}

static int write_frames(aimnet_writer *writer, aimnet_frame *frame, const freq_entry *e,
                        const double *mode, double *coord)
{
    double largest = 0.0;
    const size_t n = 3 * (size_t)e->system.n_atoms;
    for (size_t i = 0; i < n; i += 3)
        largest = fmax(largest, sqrt(mode[i] * mode[i] + mode[i + 1] * mode[i + 1] +
                                     mode[i + 2] * mode[i + 2]));
    for (int t = 0; t < N_FRAMES; t++) {
        const double f = AMPLITUDE / largest * sin(2.0 * PI * t / N_FRAMES);
        for (size_t i = 0; i < n; i++)
            coord[i] = e->system.coord[i] + f * mode[i];
        if (aimnet_writer_frame(writer, frame, NULL) != AIMNET_OK)
            return 0;
    }
    return 1;
}

static int write_animation(const char *path, const freq_entry *e, int32_t k, double *coord)
{
    char title[64];
    aimnet_writer *writer;
    aimnet_frame frame = e->item.frame;
    frame.coord = coord;
    frame.title = title;
    snprintf(title, sizeof title, "mode %d, %.2f 1/cm", (int)k + 1, e->modes->wavenumber[k]);
    aimnet_status status = aimnet_writer_open(path, &writer);
    if (status == AIMNET_OK) {
        const double *mode = e->modes->displacement + 3 * (size_t)k * (size_t)e->system.n_atoms;
        const int fine = write_frames(writer, &frame, e, mode, coord);
        if (!fine)
            cli_error("%s", aimnet_last_error());
        status = aimnet_writer_close(writer, fine);
        if (!fine)
            return CLI_FAILED;
    }
    if (status != AIMNET_OK)
        cli_error("%s", aimnet_last_error());
    return status == AIMNET_OK ? CLI_OK : CLI_FAILED;
}

int freq_write_animations(const char *prefix, const freq_entry *e)
{
    char path[1100];
    double *coord = malloc(3 * (size_t)e->system.n_atoms * sizeof *coord);
    int status = coord ? CLI_OK : CLI_FAILED;
    if (!coord)
        cli_error("memory ran out");
    for (int32_t k = 0; status == CLI_OK && k < e->modes->n_modes; k++) {
        if (snprintf(path, sizeof path, "%s%03d.xyz", prefix, (int)k + 1) >= (int)sizeof path) {
            cli_error("%s: the name is too long", prefix);
            status = CLI_FAILED;
        } else {
            status = write_animation(path, e, k, coord);
        }
    }
    free(coord);
    return status;
}

/* ---------------------------------------------------------------- spectrum */

/* Sum of Lorentzians of unit height times the intensities. */
static double spectrum(const freq_run *r, const aimnet_vib_modes *m, double wavenumber)
{
    double sum = 0.0;
    for (int32_t k = 0; k < m->n_modes; k++) {
        const double x = (wavenumber - r->conditions.scale * m->wavenumber[k]) / (0.5 * WIDTH);
        if (m->wavenumber[k] > 0.0)
            sum += m->intensity[k] / (1.0 + x * x);
    }
    return sum;
}

static void draw(FILE *file, const freq_run *r, const freq_entry *e)
{
    static const double left = 60.0, right = 880.0, top = 40.0, bottom = 340.0;
    const aimnet_vib_modes *m = e->modes;
    const double last = m->n_modes > 0 ? r->conditions.scale * m->wavenumber[m->n_modes - 1] : 0.0,
                 end = fmax(1000.0, 500.0 * ceil((last + 100.0) / 500.0));
    double highest = 1e-9;
    for (int k = 0; k <= N_POINTS; k++)
        highest = fmax(highest, spectrum(r, m, end * k / N_POINTS));
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 920 400\" "
            "font-family=\"sans-serif\" font-size=\"13\">\n"
            "<rect width=\"920\" height=\"400\" fill=\"white\"/>\n"
            "<text x=\"470\" y=\"24\" text-anchor=\"middle\">infrared spectrum of the charge "
            "dipole, highest value %.1f km/mol</text>\n",
            highest);
    const double tick = 500.0 * ceil(end / (500.0 * MAX_TICKS));
    for (int k = 0; k <= MAX_TICKS && k * tick <= end; k++) {
        const double w = k * tick, x = right - (right - left) * w / end;
        fprintf(file,
                "<path d=\"M%.1f %.1fv6\" stroke=\"black\"/><text x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">%.0f</text>\n",
                x, bottom, x, bottom + 22.0, w);
    }
    fprintf(file,
            "<text x=\"470\" y=\"388\" text-anchor=\"middle\">wavenumber / cm⁻¹</text>\n"
            "<path d=\"M%.1f %.1fH%.1f\" stroke=\"black\" fill=\"none\"/>\n"
            "<path fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.3\" d=\"",
            left, bottom, right);
    for (int k = 0; k <= N_POINTS; k++)
        fprintf(file, "%c%.2f %.2f", k ? 'L' : 'M', right - (right - left) * k / N_POINTS,
                bottom - (bottom - top) * spectrum(r, m, end * k / N_POINTS) / highest);
    fprintf(file, "\"/>\n</svg>\n");
}

int freq_write_svg(const char *path, const freq_run *r, const freq_entry *e)
{
    cli_outfile o;
    if (!e->modes->intensity) {
        cli_error(
            "--svg draws infrared intensities, which are left out for crystals: the dipole of "
            "point charges depends on the images in the cell");
        return CLI_FAILED;
    }
    if (cli_outfile_open(&o, path) != CLI_OK)
        return CLI_FAILED;
    draw(o.file, r, e);
    return cli_outfile_close(&o);
}
