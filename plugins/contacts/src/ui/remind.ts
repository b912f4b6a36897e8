/** Reminders that are set with one press, in the menu of an open task. */
import type { RecordActions } from '@kith/ui/actions.ts';
import { instantOf } from '@kith/ui/format.ts';
import { Words } from '@kith/ui/i18n.ts';
import type { FieldValue, Rec } from '@kith/ui/types.ts';
import de from '../../locales/ui.de.json' with { type: 'json' };
import en from '../../locales/ui.en.json' with { type: 'json' };

const words = { en, de };
const HOUR = 3_600_000;
const MINUTE = 60_000;
/** When the day begins, for whoever says "tomorrow morning". */
const MORNING = '08:00';

const remind: RecordActions = async (app, object, id) => {
  const path = `/records/${object}/${id}`;
  if (!app.object(object)?.rights.update || (await app.api.get<Rec>(path)).fields.status !== 'open') return [];
  const t = new Words(app.language, { ...en, ...words[app.language as keyof typeof words] });
  const say = (key: keyof typeof en, values?: Record<string, string>): string => t.say(key as never, values);
  const times: [keyof typeof en, () => string | null][] = [
    ['remind.hour', () => new Date(Math.ceil((Date.now() + HOUR) / MINUTE) * MINUTE).toISOString()],
    ['remind.tomorrow', () => instantOf(`${app.format.dayFrom(1)}T${MORNING}`, app.timeZone)],
    ['remind.week', () => instantOf(`${app.format.dayFrom(7)}T${MORNING}`, app.timeZone)],
  ];
  return times.map(([key, when]) => ({
    id: key,
    label: say(key),
    icon: 'clock',
    run: async () => {
      const reminder = when();
      if (reminder === null) return;
      const before: FieldValue = (await app.api.get<Rec>(path)).fields.reminder ?? null;
      await app.api.patch(path, { reminder });
      app.toasts.say(say('remind.set', { time: app.format.timeShort(reminder) }), {
        tone: 'good',
        action: {
          label: app.t('do.undo'),
          run: async () => {
            try {
              await app.api.patch(path, { reminder: before });
            } catch (thrown) {
              app.fail(thrown);
            }
          },
        },
      });
    },
  }));
};
export default remind;
