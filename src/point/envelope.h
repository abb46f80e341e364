/* SPDX-License-Identifier: MIT */
/* envelope.h - the names of the short-range envelopes, shared by model (which reads them) and term
 * (which evaluates them). */
#ifndef AIM_POINT_ENVELOPE_H
#define AIM_POINT_ENVELOPE_H

typedef enum aim_envelope { AIM_ENVELOPE_EXP, AIM_ENVELOPE_COSINE, AIM_ENVELOPE_NONE } aim_envelope;

#endif
